#!/bin/bash
# Runs the packet checks of the layout (nft_layout_check.sh, its path is the argument) against the tables that our own
# netlink code builds: in its PATH `nft -f` of the layout's text is answered by the test `load_text`. Needs root.
set -eu
check=$(realpath "$1") && cd "$(dirname "$(cd "$(dirname "$0")" && cargo locate-project --message-format plain)")" && W=$(mktemp -d) && trap 'rm -rf "$W"' EXIT
exe=$(cargo test --lib --no-run 2>&1 | sed -n 's/.*(\(.*\))$/\1/p' | tail -n 1)
cp "$exe" "$W/loader"
cat >"$W/nft" <<'N'
#!/bin/bash
here=$(dirname "$0") real=/usr/sbin/nft
[ "${1:-}" = -f ] || exec $real "$@"
f=$here/text.$$; cat "${2/#-/\/dev/stdin}" >"$f"
has() { grep -qx "$1" "$f"; }
if { has 'delete table inet pontoon' && has 'table inet pontoon' && grep -q 'iifname != "lo"' "$f"; } || has 'delete table ip pontoon'; then
  PONTOON_NFT_TEXT=$f "$here/loader" --exact host::linux::nft::tests::speed::load_text --ignored >"$f.out" 2>&1 || { cat "$f.out" >&2; exit 1; }
  echo ours >>"$here/loads"
elif has 'delete table bridge pontoon'; then $real list table bridge pontoon | grep -q 'instance=default'   # came with the inet table
else $real -f "$f"; fi
N
chmod +x "$W/nft"
PATH=$W:$PATH bash "$check"
echo "loaded by netlink: $(wc -l <"$W/loads") times"
