//! The GRU layer against finite differences and PyTorch.

use super::*;
use crate::ops::testing::{bits, check, close, golden, of, same_bits_everywhere, values};

fn inputs(sizes: Sizes) -> Vec<Vec<f64>> {
    let Sizes { steps, input, hidden, batch } = sizes;
    [
        ("x", steps * input * batch, 2.0),
        ("weight_ih", 3 * hidden * input, 0.8),
        ("weight_hh", 3 * hidden * hidden, 0.8),
        ("bias_ih", 3 * hidden, 0.5),
        ("bias_hh", 3 * hidden, 0.5),
    ]
    .map(|(name, count, scale)| values(name, count, scale))
    .to_vec()
}

/// Output, and the gradients of `sum(coefficients * output)`, input first.
fn run<E: Real>(sizes: Sizes, inputs: &[Vec<f64>], coefficients: &[f64]) -> (Vec<E>, Vec<Option<Vec<E>>>)
where
    Cpu: Device<E>,
{
    let Sizes { steps, input, hidden, batch } = sizes;
    let device = Cpu::default();
    let x = device.tensor_from_vec(of(&inputs[0]), (steps, input, batch));
    let parameter =
        |index: usize, dims: Vec<usize>| Parameter::new(&device, &dims, of::<E>(&inputs[index])).unwrap();
    let weights = Weights {
        input: &parameter(1, vec![3 * hidden, input]),
        hidden: &parameter(2, vec![3 * hidden, hidden]),
        input_bias: &parameter(3, vec![3 * hidden]),
        hidden_bias: &parameter(4, vec![3 * hidden]),
    };
    let out = gru(x.clone().leaky_trace(), &weights, true).unwrap();
    let result = out.as_vec();
    let coefficients = device.tensor_from_vec(of(coefficients), (steps, hidden, batch));
    let gradients = (out * coefficients).sum().backward();
    let mut all = vec![Some(gradients.get(&x).as_vec())];
    let Weights { input, hidden, input_bias, hidden_bias } = weights;
    all.extend([input, hidden, input_bias, hidden_bias].map(|p| Some(gradients.get(&p.value).as_vec())));
    (result, all)
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (steps, input, hidden, batch) in [(1, 3, 2, 1), (2, 1, 5, 3), (5, 4, 3, 10), (3, 7, 9, 1)] {
        let sizes = Sizes { steps, input, hidden, batch };
        let coefficients = values("coefficients", steps * hidden * batch, 1.0);
        check(&inputs(sizes), |inputs| {
            let (out, mut gradients) = run::<f64>(sizes, inputs, &coefficients);
            if steps == 1 {
                // The state before the first step is zero, so no weight acts on it.
                assert!(gradients[2].take().unwrap().iter().all(|&g| g == 0.0));
            }
            (out.iter().zip(&coefficients).map(|(o, c)| o * c).sum(), gradients)
        });
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    sizes: [usize; 4],
    inputs: Vec<Vec<f64>>,
    coefficients: Vec<f64>,
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

#[test]
fn agrees_with_pytorch() {
    let golden: Golden = golden("gru");
    let [steps, input, hidden, batch] = golden.sizes;
    let sizes = Sizes { steps, input, hidden, batch };
    let (out, gradients) = run::<f32>(sizes, &golden.inputs, &golden.coefficients);
    close("output", &out, &golden.output);
    for (index, (found, expected)) in gradients.iter().zip(&golden.gradients).enumerate() {
        close(&format!("gradient {index}"), found.as_ref().unwrap(), expected);
    }
}

#[test]
fn same_bits_for_any_number_of_threads_and_instruction_set() {
    let sizes = Sizes { steps: 4, input: 12, hidden: 30, batch: 40 };
    let (inputs, coefficients) = (inputs(sizes), values("coefficients", 4 * 30 * 40, 1.0));
    same_bits_everywhere(|| {
        let (out, gradients) = run::<f32>(sizes, &inputs, &coefficients);
        gradients.into_iter().flatten().chain([out]).map(|values| bits(&values)).collect::<Vec<_>>()
    });
}

#[test]
fn only_what_is_wanted_gets_a_gradient() {
    let device = Cpu::default();
    let x = device.tensor_from_vec(vec![0.5f32; 12], (2, 3, 2));
    let parameter = |dims: Vec<usize>, needs_grad| {
        let values = vec![0.3; dims.iter().product()];
        Parameter { needs_grad, ..Parameter::new(&device, &dims, values).unwrap() }
    };
    let weights = Weights {
        input: &parameter(vec![12, 3], true),
        hidden: &parameter(vec![12, 4], false),
        input_bias: &parameter(vec![12], true),
        hidden_bias: &parameter(vec![12], false),
    };
    let out = gru(x.clone().leaky_trace(), &weights, false).unwrap();
    let mut gradients = out.sum().backward();
    let mut has = |value: &Tensor<(usize,), f32, Cpu>| {
        gradients.get_or_alloc_mut(value).unwrap().iter().any(|&gradient| gradient != 0.0)
    };
    assert!(has(&weights.input.value) && has(&weights.input_bias.value));
    assert!(!has(&weights.hidden.value) && !has(&weights.hidden_bias.value));
    assert!(gradients.get_or_alloc_mut(&x).unwrap().iter().all(|&gradient| gradient == 0.0));
}

#[test]
fn parameters_that_do_not_fit_are_an_error() {
    let device = Cpu::default();
    let parameter = |dims: Vec<usize>| {
        let values = vec![0.0; dims.iter().product()];
        Parameter::<f32, Cpu>::new(&device, &dims, values).unwrap()
    };
    let weights = Weights {
        input: &parameter(vec![12, 5]),
        hidden: &parameter(vec![12, 4]),
        input_bias: &parameter(vec![12]),
        hidden_bias: &parameter(vec![12]),
    };
    let x = device.tensor_from_vec(vec![0.0f32; 12], (2, 3, 2));
    let error = gru(x, &weights, false).unwrap_err().to_string();
    assert!(error.contains("weight_ih") && error.contains("[12, 3]"), "{error}");
}
