//! The product of experts against finite differences, PyTorch, and its own evaluation in `f64`.

use super::*;
use crate::ops::testing::{bits, check, close, golden, of, same_bits_everywhere, values};

type Result<E> = (E, Vec<E>, Vec<Option<Vec<E>>>);

/// Loss, log-probabilities and the gradient of every expert's logits.
fn run<E: Real>(experts: &[Vec<f64>], classes: usize, labels: &[u32]) -> Result<E>
where
    Cpu: Device<E>,
{
    let device = Cpu::default();
    let tensor = |logits: &Vec<f64>| device.tensor_from_vec(of::<E>(logits), (classes, labels.len()));
    let logits: Vec<_> = experts.iter().map(tensor).collect();
    let traced = logits.iter().map(|logits| logits.clone().leaky_trace()).collect();
    let Product { loss, log_probabilities } = product_of_experts(traced, labels).unwrap();
    let value = loss.as_vec()[0];
    let gradients = loss.backward();
    let gradients = logits.iter().map(|logits| Some(gradients.get(logits).as_vec())).collect();
    (value, log_probabilities.as_vec(), gradients)
}

fn labels(classes: usize, batch: usize) -> Vec<u32> {
    (0..batch).map(|n| (n * 5 % classes) as u32).collect()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (experts, classes, batch) in [(1, 2, 1), (1, 10, 3), (2, 6, 10), (3, 10, 8), (3, 3, 17)] {
        let logits: Vec<_> =
            (0..experts).map(|e| values(&format!("expert {e}"), classes * batch, 3.0)).collect();
        let labels = labels(classes, batch);
        check(&logits, |logits| {
            let (loss, _, gradients) = run::<f64>(logits, classes, &labels);
            (loss, gradients)
        });
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    classes: usize,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    labels: Vec<u32>,
    logits: Vec<Vec<f64>>,
    log_probabilities: Vec<f64>,
    loss: f64,
    gradients: Vec<Vec<f64>>,
}

#[test]
fn agrees_with_pytorch() {
    let golden: Golden = golden("product_of_experts");
    for case in golden.cases {
        let (loss, log_probabilities, gradients) = run::<f32>(&case.logits, golden.classes, &case.labels);
        close("loss", &[loss], &[case.loss]);
        close("log-probabilities", &log_probabilities, &case.log_probabilities);
        for (found, expected) in gradients.iter().zip(&case.gradients) {
            close("gradient", found.as_ref().unwrap(), expected);
        }
    }
}

#[test]
fn training_and_evaluation_agree() {
    let (classes, batch) = (7, 13);
    let experts: Vec<Vec<f64>> =
        (0..3).map(|e| values(&format!("expert {e}"), classes * batch, 5.0)).collect();
    let (_, found, _) = run::<f32>(&experts, classes, &labels(classes, batch));
    let turned: Vec<Vec<f32>> = experts
        .iter()
        .map(|z| (0..batch * classes).map(|i| z[i % classes * batch + i / classes] as f32).collect())
        .collect();
    let rows: Vec<&[f32]> = turned.iter().map(Vec::as_slice).collect();
    let expected = evaluate::log_probabilities(&rows, classes);
    let expected: Vec<f64> =
        (0..classes * batch).map(|i| expected[i % batch * classes + i / batch]).collect();
    close("log-probabilities", &found, &expected);
}

#[test]
fn large_logits_stay_finite() {
    let logits = vec![1e4, -1e4, -1e4, 1e4, 0.0, 9999.0];
    let (loss, log_probabilities, gradients) = run::<f32>(&[logits.clone(), logits], 3, &[0, 2]);
    assert!(loss.is_finite() && log_probabilities.iter().all(|value| value.is_finite()));
    assert!(gradients.into_iter().flatten().flatten().all(f32::is_finite));
}

#[test]
fn nan_reaches_the_loss() {
    let (loss, ..) = run::<f32>(&[vec![0.0, f64::NAN, 1.0, 2.0]], 2, &[0, 1]);
    assert!(loss.is_nan());
}

/// More classes than a byte counts.
#[test]
fn labels_may_be_of_many_classes() {
    let (classes, labels) = (3129, [3128, 256, 0]);
    let logits = values("many classes", classes * labels.len(), 3.0);
    let (loss, log_probabilities, gradients) = run::<f64>(&[logits], classes, &labels);
    let own = |n: usize| labels[n] as usize * labels.len() + n;
    let expected: f64 = (0..3).map(|n| -log_probabilities[own(n)]).sum::<f64>() / 3.0;
    assert!((loss - expected).abs() < 1e-12);
    let gradient = gradients[0].as_ref().unwrap();
    let negative: Vec<usize> = (0..gradient.len()).filter(|&i| gradient[i] < 0.0).collect();
    assert_eq!(negative, [own(2), own(1), own(0)]);
}

#[test]
fn labels_and_experts_that_do_not_fit_are_an_error() {
    let device = Cpu::default();
    let logits = |classes: usize| device.tensor_from_vec(vec![0.0f32; classes * 2], (classes, 2));
    let error = |experts, labels: &[u32]| product_of_experts(experts, labels).err().unwrap().to_string();
    assert!(error(vec![], &[0, 1]).contains("at least one expert"));
    assert!(error(vec![logits(3), logits(4)], &[0, 1]).contains("(4, 2)"));
    assert!(error(vec![logits(3)], &[0]).contains("found 1"));
    assert!(error(vec![logits(3)], &[0, 3]).contains("below 3"));
}

#[test]
fn same_bits_on_every_instruction_set() {
    let experts: Vec<Vec<f64>> = (0..3).map(|e| values(&format!("expert {e}"), 10 * 43, 5.0)).collect();
    same_bits_everywhere(|| {
        let (loss, log_probabilities, gradients) = run::<f32>(&experts, 10, &labels(10, 43));
        let gradients: Vec<_> = gradients.into_iter().flatten().map(|values| bits(&values)).collect();
        (loss.to_bits(), bits(&log_probabilities), gradients)
    });
}

mod heads {
    use dfdx::prelude::*;

    use super::super::{Heads, Labels, product_of_experts, product_of_heads};
    use crate::ops::testing::{check, numbers, of};
    use crate::ops::{Features, OpError};

    const WEIGHTS: [f64; 4] = [0.6, 2.5, 1.5, 0.4];

    /// Loss and gradients of two experts with two heads of two classes.
    fn evaluate(inputs: &[Vec<f64>], labels: &[u32]) -> (f64, Vec<Option<Vec<f64>>>) {
        let dev = Cpu::default();
        let experts: Vec<Features<f64, Cpu>> =
            inputs.iter().map(|z| dev.tensor_from_vec(z.clone(), (4, labels.len()))).collect();
        let heads = Heads::new(&dev, 2, 2, &WEIGHTS).unwrap();
        let labels = Labels::new(&dev, labels).unwrap();
        let traced = experts.iter().map(Tensor::leaky_trace).collect();
        let loss = product_of_heads(traced, &labels, &heads).unwrap().loss;
        let value = loss.array();
        let gradients = loss.backward();
        (value, experts.iter().map(|expert| Some(gradients.get(expert).as_vec())).collect())
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for labels in [&[0u32, 1, 2, 3, 1][..], &[3], &[0, 0, 2, 2, 2, 0, 0, 0, 2, 0]] {
            let inputs = [numbers("first", 4 * labels.len()), numbers("second", 4 * labels.len())];
            check(&inputs, |inputs| evaluate(inputs, labels));
        }
    }

    /// Each head is a product of experts of its own, weighted by the class of each example.
    #[test]
    fn the_loss_is_the_sum_of_the_heads_weighted_means() {
        let labels = [0u32, 3, 2, 1, 1, 2];
        let inputs = [numbers("first", 24), numbers("second", 24)];
        let (found, _) = evaluate(&inputs, &labels);
        let dev = Cpu::default();
        let mut expected = 0.0;
        for head in 0..2 {
            let part = |z: &Vec<f64>| -> Features<f64, Cpu> {
                dev.tensor_from_vec(z[head * 12..(head + 1) * 12].to_vec(), (2, 6))
            };
            let classes: Vec<u32> = labels.iter().map(|label| label >> head & 1).collect();
            let product = product_of_experts(inputs.iter().map(part).collect(), &classes).unwrap();
            let logs = product.log_probabilities.as_vec();
            let (mut total, mut weights) = (0.0, 0.0);
            for (n, &y) in classes.iter().enumerate() {
                let weight = WEIGHTS[2 * head + y as usize];
                total -= weight * logs[y as usize * 6 + n];
                weights += weight;
            }
            expected += total / weights;
        }
        assert!((found - expected).abs() < 1e-12);
    }

    #[test]
    fn one_head_without_weights_is_the_plain_product_bit_for_bit() {
        let dev = Cpu::default();
        let labels = [2u32, 0, 1, 2, 2, 1, 0];
        let experts = || -> Vec<Features<f32, Cpu>> {
            ["first", "second"]
                .map(|name| dev.tensor_from_vec(of(&numbers::<f64>(name, 21)), (3, 7)))
                .to_vec()
        };
        let plain = product_of_experts(experts(), &labels).unwrap();
        let heads = Heads::new(&dev, 1, 3, &[1.0; 3]).unwrap();
        let found = product_of_heads(experts(), &Labels::new(&dev, &labels).unwrap(), &heads).unwrap();
        assert_eq!(found.loss.array().to_bits(), plain.loss.array().to_bits());
        assert_eq!(found.log_probabilities.as_vec(), plain.log_probabilities.as_vec());
    }

    /// Nine heads are more than a byte holds, and 32 are all that a label holds.
    #[test]
    fn a_label_has_a_bit_for_each_of_up_to_32_heads() {
        let dev = Cpu::default();
        for count in [9, 32] {
            let heads = Heads::new(&dev, count, 2, &vec![1.0; 2 * count]).unwrap();
            let logits = numbers::<f64>("logits", 2 * count);
            let label = 0xb5a6_93c7 & ((1u64 << count) - 1) as u32 | 1 << (count - 1);
            let found: Features<f64, Cpu> = dev.tensor_from_vec(logits.clone(), (2 * count, 1));
            let found = product_of_heads(vec![found], &Labels::new(&dev, &[label]).unwrap(), &heads).unwrap();
            let of_head = |head: usize| {
                let (no, yes) = (logits[2 * head], logits[2 * head + 1]);
                let margin = if label >> head & 1 == 1 { no - yes } else { yes - no };
                libm::log1p(libm::exp(margin))
            };
            let expected: f64 = (0..count).map(of_head).sum();
            assert!((found.loss.array() - expected).abs() < 1e-12, "{count}");
        }
    }

    #[test]
    fn large_logits_stay_finite_and_what_does_not_fit_is_refused() {
        let dev = Cpu::default();
        let (loss, gradients) = evaluate(&[vec![1e4, -1e4, -1e4, 1e4], vec![-1e4, 1e4, 1e4, 1e4]], &[1]);
        assert!(loss.is_finite() && gradients.into_iter().flatten().flatten().all(f64::is_finite));
        for weights in [&[1.0; 3][..], &[1.0, 0.0, 1.0, 1.0], &[1.0, f64::NAN, 1.0, 1.0]] {
            assert!(matches!(Heads::<f32, Cpu>::new(&dev, 2, 2, weights), Err(OpError::Shape { .. })));
        }
        assert!(matches!(Heads::<f32, Cpu>::new(&dev, 33, 2, &[1.0; 66]), Err(OpError::Shape { .. })));
        let heads = Heads::new(&dev, 2, 2, &WEIGHTS).unwrap();
        let logits: Features<f32, Cpu> = dev.zeros_like(&(6, 1));
        let labels = Labels::new(&dev, &[0]).unwrap();
        assert!(product_of_heads(vec![logits], &labels, &heads).is_err());
    }
}
