//! The picture: a line for each row, a dot for each peer and the limit, at how many times better Pontoon is: right of the line at 1x
//! the other is worse. Logarithmic.
use crate::{
    table::{Row, times},
    unit::Unit,
};
use std::fmt::Write;

const LABELS: f64 = 500.0;
const WIDTH: f64 = 1100.0;
const LINE: f64 = 22.0;
const TOP: f64 = 56.0;
/// Ratios at the edges.
const RANGE: (f64, f64) = (0.15, 1000.0);

pub fn svg(rows: &[Row]) -> String {
    let shown = |row: &&Row| row.unit != Unit::Share && dots(row).next().is_some();
    let shown: Vec<&Row> = rows.iter().filter(shown).collect();
    let height = TOP + LINE * shown.len() as f64 + 20.0;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LABELS}\" y=\"16\">how many times better Pontoon is; left of 1x the other is better</text>"
    );
    for ratio in [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0] {
        let x = at(ratio);
        let colour = if ratio == 1.0 { "#1a7f37" } else { "#dddddd" };
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"{colour}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{ratio}x</text>",
            height - 16.0,
            TOP - 6.0
        );
    }
    for (number, row) in shown.iter().enumerate() {
        line(&mut out, row, TOP + LINE * (number as f64 + 0.7));
    }
    legend(&mut out, &shown);
    out + "</svg>\n"
}

fn line(out: &mut String, row: &Row, y: f64) {
    let ours = row.ours.as_ref().map_or(String::new(), |figure| row.unit.show(figure.middle));
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{} <tspan fill=\"#1a7f37\">{}</tspan></text>",
        LABELS - 12.0,
        escape(&short(&row.what)),
        escape(&ours)
    );
    for (who, limit, ratio) in dots(row) {
        let _ = writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{}\" fill=\"{}\"><title>{} {}</title></circle>",
            at(ratio),
            y - 4.0,
            if limit { 4 } else { 6 },
            colour(&who, limit),
            escape(&who),
            times(ratio)
        );
    }
}

/// (who, is it the limit, how many times better we are)
fn dots(row: &Row) -> impl Iterator<Item = (String, bool, f64)> {
    let limit = row.limit.iter().map(|entry| (entry, true));
    let all = limit.chain(row.peers.iter().map(|entry| (entry, false)));
    all.filter_map(|(entry, limit)| Some((entry.who.clone(), limit, row.ahead(entry)?)))
}

fn legend(out: &mut String, rows: &[&Row]) {
    let mut seen: Vec<(&str, String)> = Vec::new();
    for (who, limit, _) in rows.iter().flat_map(|row| dots(row)) {
        let colour = colour(&who, limit);
        if !seen.iter().any(|(known, _)| *known == colour) {
            let name = who.split(' ').next().unwrap_or_default();
            seen.push((colour, if limit { "limit".to_owned() } else { name.to_owned() }));
        }
    }
    let mut x = LABELS;
    for (colour, who) in seen {
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"30\" r=\"5\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"34\">{}</text>",
            x + 9.0,
            escape(&who)
        );
        x += 26.0 + 7.0 * who.chars().count() as f64;
    }
}

fn colour(who: &str, limit: bool) -> &'static str {
    const PEERS: [(&str, &str); 7] = [
        ("dockerd", "#1d63ed"),
        ("docker", "#1d63ed"),
        ("netavark", "#892ca0"),
        ("aardvark", "#b56ad6"),
        ("CNI", "#d9480f"),
        ("dnsmasq", "#e8a317"),
        ("bare", "#777777"),
    ];
    match PEERS.iter().find(|(name, _)| who.starts_with(name)) {
        _ if limit => "#777777",
        Some((_, colour)) => colour,
        None => "#333333",
    }
}

fn at(ratio: f64) -> f64 {
    let (low, high) = RANGE;
    let part = (ratio.clamp(low, high) / low).ln() / (high / low).ln();
    LABELS + part * (WIDTH - LABELS - 20.0)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
