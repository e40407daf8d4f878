fn main() {
    let mut o = pontoon::daemon::Options::default();
    let a: Vec<String> = std::env::args().collect();
    let mut i = 2;
    while i + 1 < a.len() {
        let v = a[i + 1].clone();
        match a[i].as_str() {
            "--root" => o.root = Some(v.into()),
            "--run" => o.run = Some(v.into()),
            "--instance" => o.instance = Some(v),
            _ => {}
        }
        i += 2;
    }
    if let Err(e) = pontoon::daemon::run(o) {
        eprintln!("{e}");
        std::process::exit(1);
    }
}
