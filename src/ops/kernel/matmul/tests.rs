//! What every element is, whatever the sizes and orders, on every instruction set and for any number of threads.

use super::*;
use crate::ops::simd::on_every_isa;
use crate::ops::testing::bits;
use crate::random::Seeds;

fn numbers(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Seeds::root(1).child(name).stream();
    (0..count).map(|_| stream.uniform_in(-1.0, 1.0) as f32).collect()
}

/// A matrix as it stands in another order.
fn stored(matrix: &[f32], [rows, columns]: [usize; 2], order: Order) -> Vec<f32> {
    match order {
        Order::Rows => matrix.to_vec(),
        Order::Columns => {
            (0..columns * rows).map(|place| matrix[place % rows * columns + place / rows]).collect()
        }
    }
}

/// Sizes on both sides of every edge: tiles, slivers, passes, packed rows, parts, and the way of few rows.
const SIZES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [1, 300, 40],
    [5, 7, 33],
    [13, 257, 31],
    [50, 64, 129],
    [97, 256, 300],
    [193, 513, 65],
    [200, 20, 16],
    [1153, 9, 34],
    [3, 0, 5],
];

#[test]
fn an_element_is_one_fused_chain() {
    for [m, k, n] in SIZES {
        let (left, right) = (numbers("left", m * k), numbers("right", k * n));
        let (row, column, before) = (numbers("row", n), numbers("column", m), numbers("out", m * n));
        for (left_order, right_order) in [
            (Order::Rows, Order::Rows),
            (Order::Rows, Order::Columns),
            (Order::Columns, Order::Rows),
            (Order::Columns, Order::Columns),
        ] {
            let (a, b) = (stored(&left, [m, k], left_order), stored(&right, [k, n], right_order));
            let expected = |first: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
                let chain = |i: usize, j: usize| {
                    (0..k).fold(first(i, j), |sum, p| left[i * k + p].mul_add(right[p * n + j], sum))
                };
                (0..m * n).map(|place| chain(place / n, place % n)).collect()
            };
            let of =
                |base| Matmul { left: (&a, left_order), right: (&b, right_order), base, sizes: [m, k, n] };
            on_every_isa(|isa| {
                let what = format!("{isa} {m} x {k} x {n} {left_order:?} {right_order:?}");
                assert_eq!(bits(&of(Base::Zero).product()), bits(&expected(&|_, _| 0.0)), "{what}");
                assert_eq!(bits(&of(Base::Row(&row)).product()), bits(&expected(&|_, j| row[j])), "{what}");
                let by_row = of(Base::Column(&column)).product();
                assert_eq!(bits(&by_row), bits(&expected(&|i, _| column[i])), "{what}");
                let mut out = before.clone();
                of(Base::Existing).add_to(&mut out);
                assert_eq!(bits(&out), bits(&expected(&|i, j| before[i * n + j])), "{what}");
            });
        }
    }
}

#[test]
fn no_bit_depends_on_the_number_of_threads() {
    let [m, k, n] = [300, 300, 300];
    let (a, b) = (numbers("left", m * k), numbers("right", k * n));
    let matmul =
        Matmul { left: (&a, Order::Rows), right: (&b, Order::Columns), base: Base::Zero, sizes: [m, k, n] };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        bits(&pool.install(|| matmul.product()))
    };
    let one = run(1);
    assert!((2..5).all(|threads| run(threads) == one));
}

#[test]
#[should_panic(expected = "right matrix")]
fn operands_are_checked() {
    let matmul = Matmul {
        left: (&[1.0f32; 6], Order::Rows),
        right: (&[1.0; 5], Order::Rows),
        base: Base::Zero,
        sizes: [2, 3, 2],
    };
    matmul.product();
}
