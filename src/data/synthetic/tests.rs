use super::files::{draw, manifest, render};
use super::*;
use crate::protocol::{DatasetName, Task};

#[test]
fn print_references() {
    for task in [Task::Digits, Task::Mortality, Task::Neoplasms, Task::Respiratory] {
        let t = std::time::Instant::now();
        eprintln!("{task:?} {:.2?} {:?}", references(task.dataset(), task).unwrap(), t.elapsed());
    }
    for name in [DatasetName::Avmnist, DatasetName::Mimic] {
        let t = std::time::Instant::now();
        let s = Settings::embedded(name).unwrap();
        let f = render(&s).unwrap();
        eprintln!("render {:?}", t.elapsed());
        let folder = if name == DatasetName::Avmnist { "avmnist" } else { "mimic" };
        for (n, b) in &f {
            println!("{}  {folder}/{n}", crate::digest::Digest::of(b));
        }
        generate_from(&s, &std::path::Path::new("/tmp/syn/fix").join(folder)).unwrap();
    }
}
