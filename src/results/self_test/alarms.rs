//! False alarms of a range where nothing is at fault.

use crate::gate::expected::Range;
use crate::metric::Unit;
use crate::random::Seeds;

/// Draws of seeds per range: enough that a range alone shows whether they keep to one in a hundred.
const SOUND: u64 = 4000;

/// Ranges predicted from as many seeds as this one was, checked with as many as it is for, all drawn from one distribution.
pub(super) fn count_alarms(range: &Range, seeds: &Seeds, alarms: &mut [u64; 2]) {
    let Some(std) = range.std else { return };
    for draw in 0..SOUND {
        let mut stream = seeds.child(draw).stream();
        let mut values =
            |count: usize| -> Vec<f64> { (0..count).map(|_| range.mean + std * stream.normal()).collect() };
        let stored = values(range.n);
        let new = values(range.new_seeds);
        let predicted = Range::predict(&stored, range.new_seeds, Unit::Percent, String::new(), Vec::new());
        let mean = new.iter().sum::<f64>() / new.len().max(1) as f64;
        alarms[0] += u64::from(predicted.is_some_and(|predicted| !predicted.holds(mean)));
        alarms[1] += 1;
    }
}
