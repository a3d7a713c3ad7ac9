//! The experts' heads: small perceptrons on the features of the passes.
//!
//! Invariant: a head is linear, LayerNorm, GELU, linear. Several heads are combined as a product of experts, with neither a
//! temperature nor weights; the three scalars of a published I2M2 are kept, and never used.

use dfdx::prelude::{NoneTape, Tape};

use super::layers::{Linear, Norm};
use super::run::{ForwardPass, Noise};
use super::source::{TensorSource, load};
use super::weights::{Namer, Plan, Weights};
use super::{Config, FiberError};
use crate::models::Initializer;
use crate::ops::activate::{Function, activate};
use crate::ops::simd::Real;
use crate::ops::{Backend, Tokens};
use crate::random::Seeds;

/// Which experts a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composition {
    /// The image alone.
    Image,
    /// The text alone.
    Text,
    /// Image and text, each for itself.
    Intra,
    /// Both with fusion.
    Inter,
    /// All three: I2M2.
    All,
}

impl Composition {
    /// The heads, in order, with what their names begin with.
    fn heads(self) -> &'static [(Expert, &'static str)] {
        match self {
            Composition::Image => &[(Expert::Image, "model")],
            Composition::Text => &[(Expert::Text, "model")],
            Composition::Inter => &[(Expert::Fused, "model")],
            Composition::Intra => &[(Expert::Image, "image_model"), (Expert::Text, "text_model")],
            Composition::All => {
                &[(Expert::Fused, "cat_model"), (Expert::Image, "image_model"), (Expert::Text, "text_model")]
            }
        }
    }
}

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What names of its tensors begin with: `vqa_classifier`, `nlvr2_classifier`.
    pub name: String,
    /// Classes.
    pub classes: usize,
    /// Images of an example, whose features stand beside each other.
    pub images: usize,
}

impl Task {
    /// VQA: one image.
    pub fn vqa(classes: usize) -> Self {
        Task { name: "vqa_classifier".to_owned(), classes, images: 1 }
    }

    /// NLVR2: two images, true or false.
    pub fn nlvr2() -> Self {
        Task { name: "nlvr2_classifier".to_owned(), classes: 2, images: 2 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expert {
    Image,
    Text,
    Fused,
}

/// One head.
#[derive(Clone, Debug)]
struct Head {
    expert: Expert,
    first: Linear,
    norm: Norm,
    last: Linear,
}

/// The features of a batch that the passes gave; each pass's only where a head asks for it.
pub struct Features<E: Real, D: Backend<E>, T: Tape<E, D>> {
    /// Of the image alone, all images of an example beside each other.
    pub image: Option<Tokens<E, D, T>>,
    /// Of the text alone.
    pub text: Option<Tokens<E, D, T>>,
    /// Of both with fusion, all images of an example beside each other.
    pub fused: Option<Tokens<E, D, T>>,
}

/// The heads of a model. A clone shares their tensors.
#[derive(Clone, Debug)]
pub struct Heads<E: Real, D: Backend<E>> {
    heads: Vec<Head>,
    /// The tensors.
    pub weights: Weights<E, D>,
}

fn parts(config: &Config, composition: Composition, task: &Task) -> (Vec<Head>, Plan) {
    let mut plan = Plan::default();
    let mut namer = Namer::new(&mut plan);
    let mut namer = namer.within(&task.name);
    let (width, hidden) = (config.text.hidden, 2 * config.text.hidden);
    if composition == Composition::All {
        for name in ["inter", "intra_1", "intra_2"] {
            namer.tensor(name, &[], Initializer::Constant(1.0));
        }
    }
    let heads = composition.heads().iter().map(|&(expert, name)| {
        let inputs = match expert {
            Expert::Image => task.images * width,
            Expert::Text => width,
            Expert::Fused => task.images * 2 * width,
        };
        let mut within = namer.within(name);
        Head {
            expert,
            first: Linear::new(within.within(0), inputs, hidden),
            norm: Norm::new(within.within(1), hidden),
            last: Linear::new(within.within(3), hidden, task.classes),
        }
    });
    (heads.collect(), plan)
}

impl<E: Real, D: Backend<E>> Heads<E, D> {
    /// Their tensors, by name: nothing is made.
    pub fn plan(config: &Config, composition: Composition, task: &Task) -> Plan {
        parts(config, composition, task).1
    }

    /// Fresh heads.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn fresh(
        device: &D,
        config: &Config,
        composition: Composition,
        task: &Task,
        seeds: &Seeds,
    ) -> Result<Self, FiberError> {
        let (heads, plan) = parts(config, composition, task);
        Ok(Heads { heads, weights: Weights::fresh(device, plan, seeds)? })
    }

    /// Heads from a source; what else that has must be `allowed`.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(
        device: &D,
        config: &Config,
        (composition, task): (Composition, &Task),
        source: &impl TensorSource<E>,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<Self, FiberError> {
        let (heads, plan) = parts(config, composition, task);
        Ok(Heads { heads, weights: load(device, &plan, source, allowed)? })
    }

    /// Logits of every expert, `(batch, classes)` each: the fused one's first, then the image's, then the text's.
    ///
    /// # Errors
    /// [`FiberError::Input`] if features are missing that a head needs, or if the device fails.
    pub fn logits<T: Tape<E, D>>(
        &self,
        features: Features<E, D, T>,
    ) -> Result<Vec<Tokens<E, D, T>>, FiberError> {
        self.each(features, |head, run, x| head.first.forward(run, x))
    }

    /// The same of features that were kept: only the heads are trained.
    ///
    /// # Errors
    /// As [`Heads::logits`].
    pub fn logits_of_kept<T: Tape<E, D>>(
        &self,
        features: Features<E, D, NoneTape>,
    ) -> Result<Vec<Tokens<E, D, T>>, FiberError> {
        self.each(features, |head, run, x| head.first.of_input(run, x))
    }

    /// All heads, each with its features, which `first` takes through its first layer.
    fn each<F: Tape<E, D>, T: Tape<E, D>>(
        &self,
        features: Features<E, D, F>,
        first: impl Fn(&Head, &ForwardPass<'_, E, D>, Tokens<E, D, F>) -> Result<Tokens<E, D, T>, FiberError>,
    ) -> Result<Vec<Tokens<E, D, T>>, FiberError> {
        let Features { mut image, mut text, mut fused } = features;
        let run = ForwardPass { weights: &self.weights, noise: &Noise::Off, hook: None };
        let logits = self.heads.iter().map(|head| {
            let (features, what) = match head.expert {
                Expert::Image => (&mut image, "features of the image"),
                Expert::Text => (&mut text, "features of the text"),
                Expert::Fused => (&mut fused, "fused features"),
            };
            let Some(x) = features.take() else {
                let (expected, found) = ("those of a pass".to_owned(), "none".to_owned());
                return Err(FiberError::Input { what, expected, found });
            };
            let x = head.norm.forward(&run, first(head, &run, x)?)?;
            head.last.forward(&run, activate(x, Function::Gelu)?)
        });
        logits.collect()
    }
}
