//! Low-rank fusion against finite differences and PyTorch.

use super::*;
use crate::ops::testing::{bits, check, close, golden, of, same_bits_everywhere, values};

fn inputs(sizes: Sizes) -> Vec<Vec<f64>> {
    let Sizes { features: [first, second], rank, outputs, batch } = sizes;
    [
        ("first", first * batch),
        ("second", second * batch),
        ("first factor", rank * (first + 1) * outputs),
        ("second factor", rank * (second + 1) * outputs),
        ("weights", rank),
        ("bias", outputs),
    ]
    .map(|(name, count)| values(name, count, 1.0))
    .to_vec()
}

/// Output, and the gradients of `sum(coefficients * output)`, both inputs first; frozen factors have none.
fn run<E: Real>(
    sizes: Sizes,
    inputs: &[Vec<f64>],
    coefficients: &[f64],
    trainable: bool,
) -> (Vec<E>, Vec<Option<Vec<E>>>)
where
    Cpu: Device<E>,
{
    let Sizes { features, rank, outputs, batch } = sizes;
    let device = Cpu::default();
    let modality = |m: usize| device.tensor_from_vec(of::<E>(&inputs[m]), (features[m], batch));
    let (first, second) = (modality(0), modality(1));
    let parameter = |index: usize, dims: Vec<usize>| {
        let made = Parameter::new(&device, &dims, of::<E>(&inputs[index])).unwrap();
        Parameter { needs_grad: trainable, ..made }
    };
    let fusion = Fusion {
        factors: [
            &parameter(2, vec![rank, features[0] + 1, outputs]),
            &parameter(3, vec![rank, features[1] + 1, outputs]),
        ],
        weights: &parameter(4, vec![1, rank]),
        bias: &parameter(5, vec![1, outputs]),
    };
    let out = low_rank_fusion(first.clone().leaky_trace(), second.clone().leaky_trace(), &fusion).unwrap();
    let result = out.as_vec();
    let coefficients = device.tensor_from_vec(of(coefficients), (outputs, batch));
    let gradients = (out * coefficients).sum().backward();
    let mut all = vec![Some(gradients.get(&first).as_vec()), Some(gradients.get(&second).as_vec())];
    for parameter in [fusion.factors[0], fusion.factors[1], fusion.weights, fusion.bias] {
        all.push(trainable.then(|| gradients.get(&parameter.value).as_vec()));
    }
    (result, all)
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (first, second, rank, outputs, batch) in [(1, 1, 1, 1, 1), (3, 5, 2, 7, 3), (4, 30, 5, 9, 10)] {
        let sizes = Sizes { features: [first, second], rank, outputs, batch };
        let coefficients = values("coefficients", outputs * batch, 1.0);
        for trainable in [true, false] {
            check(&inputs(sizes), |inputs| {
                let (out, gradients) = run::<f64>(sizes, inputs, &coefficients, trainable);
                (out.iter().zip(&coefficients).map(|(o, c)| o * c).sum(), gradients)
            });
        }
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    sizes: [usize; 5],
    inputs: Vec<Vec<f64>>,
    coefficients: Vec<f64>,
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

#[test]
fn agrees_with_pytorch() {
    let golden: Golden = golden("lrtf");
    let [first, second, rank, outputs, batch] = golden.sizes;
    let sizes = Sizes { features: [first, second], rank, outputs, batch };
    let (out, gradients) = run::<f32>(sizes, &golden.inputs, &golden.coefficients, true);
    close("output", &out, &golden.output);
    for (index, (found, expected)) in gradients.iter().zip(&golden.gradients).enumerate() {
        close(&format!("gradient {index}"), found.as_ref().unwrap(), expected);
    }
}

#[test]
fn same_bits_for_any_number_of_threads_and_instruction_set() {
    let sizes = Sizes { features: [48, 100], rank: 7, outputs: 60, batch: 13 };
    let (inputs, coefficients) = (inputs(sizes), values("coefficients", 60 * 13, 1.0));
    same_bits_everywhere(|| {
        let (out, gradients) = run::<f32>(sizes, &inputs, &coefficients, true);
        gradients.into_iter().flatten().chain([out]).map(|values| bits(&values)).collect::<Vec<_>>()
    });
}

#[test]
fn factors_that_do_not_fit_are_an_error() {
    let device = Cpu::default();
    let parameter = |dims: Vec<usize>| {
        let values = vec![0.0; dims.iter().product()];
        Parameter::<f32, Cpu>::new(&device, &dims, values).unwrap()
    };
    let fusion = Fusion {
        factors: [&parameter(vec![2, 4, 5]), &parameter(vec![2, 4, 5])],
        weights: &parameter(vec![1, 2]),
        bias: &parameter(vec![1, 5]),
    };
    let input = |features: usize| device.tensor_from_vec(vec![0.0f32; features * 2], (features, 2));
    assert!(low_rank_fusion(input(3), input(3), &fusion).is_ok());
    let error = low_rank_fusion(input(3), input(4), &fusion).err().unwrap().to_string();
    assert!(error.contains("second factor") && error.contains("[2, 5, 5]"), "{error}");
}

#[test]
fn frozen_parameters_get_no_gradient() {
    let device = Cpu::default();
    let frozen = |dims: Vec<usize>| {
        let values = vec![0.5; dims.iter().product()];
        let made = Parameter::<f32, Cpu>::new(&device, &dims, values).unwrap();
        Parameter { needs_grad: false, ..made }
    };
    let fusion = Fusion {
        factors: [&frozen(vec![2, 4, 5]), &frozen(vec![2, 4, 5])],
        weights: &frozen(vec![1, 2]),
        bias: &frozen(vec![1, 5]),
    };
    let input = || device.tensor_from_vec(vec![0.1f32; 6], (3, 2)).leaky_trace();
    let mut gradients = low_rank_fusion(input(), input(), &fusion).unwrap().sum().backward();
    for parameter in [fusion.factors[0], fusion.factors[1], fusion.weights, fusion.bias] {
        assert!(gradients.get_or_alloc_mut(&parameter.value).unwrap().iter().all(|&g| g == 0.0));
    }
}
