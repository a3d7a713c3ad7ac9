//! How often something can be done in a second, and what it costs beside time.
#![allow(clippy::print_stdout, reason = "whoever started several programs reads `ready`")]

use std::time::Instant;

use i2m2::provenance::page_faults;

/// What was measured.
pub(crate) struct Rate {
    /// How often it was done.
    pub count: u64,
    /// How often in a second.
    pub per_second: f64,
    /// Page faults each time, where the system counts them.
    pub page_faults: Option<f64>,
}

/// Does something again and again for so many seconds. With `wait` it says `ready` and waits for a line on stdin before, so that several
/// processes can begin together.
pub(crate) fn rate(
    seconds: f64,
    wait: bool,
    mut run: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Rate> {
    if wait {
        println!("ready");
        std::io::stdin().read_line(&mut String::new())?;
    }
    let faults = page_faults();
    let (mut count, start) = (0u64, Instant::now());
    while start.elapsed().as_secs_f64() < seconds {
        run()?;
        count += 1;
    }
    let per_second = count as f64 / start.elapsed().as_secs_f64();
    let page_faults = page_faults().zip(faults).map(|(after, before)| (after - before) as f64 / count as f64);
    Ok(Rate { count, per_second, page_faults })
}
