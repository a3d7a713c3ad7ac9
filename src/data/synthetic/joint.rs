//! The paper's generative model (its Figure 1, Eq. 1) over discrete latent states: y causes a and b, and a sample is
//! kept with probability p(v = 1 | a, b, y).
//!
//! Invariant: [`Joint::table`] is exactly the distribution that [`Sampler::draw`] draws from.
//!
//! With several tasks y is the tuple of their labels. Every factor is a product over tasks, and p(y) is proportional
//! to the tasks' prior weights times the normalisers of p(a | y) and p(b | y). So given (a, b) the tasks are
//! independent, and each task's own table stays log-additive when its selection strength is 0.

use super::settings::{FixtureSettings, Layout, TaskSettings};
use crate::data::error::SettingsError;
use crate::random::{Seeds, Stream};

/// The joint distribution of latent states and labels.
pub struct Joint {
    first: usize,
    second: usize,
    factors: Vec<Factor>,
}

/// One task's weights.
struct Factor {
    task: String,
    prior: Vec<f64>,
    /// `[a][y]`.
    first: Vec<Vec<f64>>,
    /// `[b][y]`.
    second: Vec<Vec<f64>>,
    /// `[a][b][y]`, probabilities.
    keep: Vec<Vec<Vec<f64>>>,
}

/// p(a, b, y | v = 1) of one task.
#[derive(Clone)]
pub struct Table {
    /// Latent states of x.
    pub first: usize,
    /// Latent states of x'.
    pub second: usize,
    /// Labels.
    pub classes: usize,
    /// Probabilities, first x second x classes.
    pub cells: Vec<f64>,
}

/// One kept sample: latent states and the label of every task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Latent state of x.
    pub first: usize,
    /// Latent state of x'.
    pub second: usize,
    /// One label per task, in the order of the settings.
    pub labels: Vec<usize>,
}

impl Factor {
    fn new(settings: &TaskSettings) -> Self {
        let classes = settings.prior.len();
        let evidence = |evidence: &super::settings::Evidence| -> Vec<Vec<f64>> {
            let weights = |labels: &Vec<usize>| {
                let mut log = vec![0.0; classes];
                let mut strength = evidence.strength;
                for &label in labels {
                    log[label] += strength;
                    strength *= evidence.decay;
                }
                log.into_iter().map(libm::exp).collect()
            };
            evidence.favours.iter().map(weights).collect()
        };
        let dropped = libm::exp(-settings.selection.strength);
        let kept =
            |&selected: &usize| (0..classes).map(|y| if y == selected { 1.0 } else { dropped }).collect();
        Factor {
            task: settings.task.clone(),
            prior: settings.prior.clone(),
            first: evidence(&settings.first),
            second: evidence(&settings.second),
            keep: settings.selection.selects.iter().map(|row| row.iter().map(kept).collect()).collect(),
        }
    }

    fn classes(&self) -> usize {
        self.prior.len()
    }

    fn weight(&self, a: usize, b: usize, y: usize) -> f64 {
        self.prior[y] * self.first[a][y] * self.second[b][y] * self.keep[a][b][y]
    }
}

impl Joint {
    /// The joint distribution that checked settings describe.
    pub fn new<L: Layout>(settings: &FixtureSettings<L>) -> Self {
        let [first, second] = settings.states();
        Joint { first, second, factors: settings.tasks.iter().map(Factor::new).collect() }
    }

    /// p(a, b, y | v = 1) of one task: the others are summed out.
    ///
    /// # Errors
    /// A task that the fixture does not have.
    pub fn table(&self, task: &str) -> Result<Table, SettingsError> {
        let own = self.factors.iter().find(|factor| factor.task == task).ok_or_else(|| {
            let has = self.factors.iter().map(|factor| factor.task.clone()).collect();
            SettingsError::NoSuchTask { task: task.to_owned(), has }
        })?;
        let mut cells = Vec::with_capacity(self.first * self.second * own.classes());
        for a in 0..self.first {
            for b in 0..self.second {
                let total =
                    |factor: &Factor| (0..factor.classes()).map(|y| factor.weight(a, b, y)).sum::<f64>();
                let others: f64 =
                    self.factors.iter().filter(|factor| factor.task != task).map(total).product();
                cells.extend((0..own.classes()).map(|y| own.weight(a, b, y) * others));
            }
        }
        let mass: f64 = cells.iter().sum();
        cells.iter_mut().for_each(|cell| *cell /= mass);
        Ok(Table { first: self.first, second: self.second, classes: own.classes(), cells })
    }

    /// Prepares drawing.
    pub fn sampler(&self) -> Sampler<'_> {
        let mut tuples = vec![vec![]];
        for factor in &self.factors {
            let longer = |labels: &Vec<usize>| {
                let labels = labels.clone();
                (0..factor.classes()).map(move |y| labels.iter().copied().chain([y]).collect())
            };
            tuples = tuples.iter().flat_map(longer).collect();
        }
        let given = |labels: &[usize], states: usize, weight: fn(&Factor, usize, usize) -> f64| -> Vec<f64> {
            let product =
                |state| self.factors.iter().zip(labels).map(|(f, &y)| weight(f, state, y)).product();
            (0..states).map(product).collect()
        };
        let first: Vec<Vec<f64>> =
            tuples.iter().map(|labels| given(labels, self.first, |f, a, y| f.first[a][y])).collect();
        let second: Vec<Vec<f64>> =
            tuples.iter().map(|labels| given(labels, self.second, |f, b, y| f.second[b][y])).collect();
        let prior = |(i, labels): (usize, &Vec<usize>)| {
            let weights: f64 = self.factors.iter().zip(labels).map(|(f, &y)| f.prior[y]).product();
            weights * first[i].iter().sum::<f64>() * second[i].iter().sum::<f64>()
        };
        let prior = tuples.iter().enumerate().map(prior).collect();
        Sampler { joint: self, tuples, prior, first, second }
    }
}

/// Draws samples as the generative model says: y, then a | y and b | y, then whether the sample is kept.
pub struct Sampler<'a> {
    joint: &'a Joint,
    tuples: Vec<Vec<usize>>,
    prior: Vec<f64>,
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
}

impl Sampler<'_> {
    /// One kept sample.
    pub fn draw(&self, stream: &mut Stream) -> Sample {
        loop {
            let y = stream.pick(&self.prior);
            let (a, b) = (stream.pick(&self.first[y]), stream.pick(&self.second[y]));
            let labels = &self.tuples[y];
            let keep: f64 = self.joint.factors.iter().zip(labels).map(|(f, &y)| f.keep[a][b][y]).product();
            if stream.chance(keep) {
                return Sample { first: a, second: b, labels: labels.clone() };
            }
        }
    }
}

/// The streams of one set of rows (`train`, `test`, `all`).
pub(in crate::data) fn seeds<L>(settings: &FixtureSettings<L>, set: &str) -> Seeds {
    Seeds::root(settings.seed).child("fixture").child(set)
}

/// The samples of one set of rows, in the order of the files.
pub(in crate::data) fn draw<L: Layout>(settings: &FixtureSettings<L>, set: &str, rows: usize) -> Vec<Sample> {
    let joint = Joint::new(settings);
    let sampler = joint.sampler();
    let mut stream = seeds(settings, set).child("latent").stream();
    (0..rows).map(|_| sampler.draw(&mut stream)).collect()
}
