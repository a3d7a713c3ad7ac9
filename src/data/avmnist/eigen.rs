//! Eigenvectors of a symmetric matrix.
//!
//! Invariant: one thread, one order of operations, and only + - * / and square roots, so the same matrix gives the
//! same bits on every machine. Householder reflections to tridiagonal form, then implicit QR steps with Wilkinson's
//! shift (Golub & Van Loan, section 8.3).

/// The leading eigenpairs of a symmetric matrix, by descending eigenvalue.
pub(super) struct Leading {
    /// Eigenvalues.
    pub values: Vec<f64>,
    /// `[count, n]`: unit eigenvectors as rows; of each the entry with the largest magnitude (the first such) is
    /// positive.
    pub vectors: Vec<f64>,
}

/// The `count` leading eigenpairs of the symmetric matrix `a` (`[n, n]`, taken apart in place).
///
/// `None` if the iteration does not converge, which finite matrices do not do in practice.
pub(super) fn leading(mut a: Vec<f64>, n: usize, count: usize) -> Option<Leading> {
    let (mut diagonal, mut off, reflectors) = tridiagonal(&mut a, n);
    // Row j of `rows` becomes the eigenvector of value j in the basis of the tridiagonal matrix.
    let mut rows = vec![0.0; n * n];
    rows.iter_mut().step_by(n + 1).for_each(|one| *one = 1.0);
    diagonalise(&mut diagonal, &mut off, &mut rows, n)?;

    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| diagonal[j].total_cmp(&diagonal[i]).then(i.cmp(&j)));
    order.truncate(count);
    let values = order.iter().map(|&i| diagonal[i]).collect();
    let mut vectors = Vec::with_capacity(order.len() * n);
    for &i in &order {
        let vector = &mut rows[i * n..(i + 1) * n];
        for reflector in reflectors.iter().rev() {
            reflector.apply(vector);
        }
        let largest = vector.iter().fold(0.0, |best: f64, &x| if x.abs() > best.abs() { x } else { best });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        vectors.extend(vector.iter().map(|x| sign * x));
    }
    Some(Leading { values, vectors })
}

/// I - scale * v vᵀ, where v is zero before `start`.
struct Reflector {
    start: usize,
    v: Vec<f64>,
    scale: f64,
}

impl Reflector {
    fn apply(&self, x: &mut [f64]) {
        let x = &mut x[self.start..];
        let factor = self.scale * dot(&self.v, x);
        add(x, -factor, &self.v);
    }
}

/// Brings `a` to tridiagonal form; returns its diagonal, its off-diagonal and the reflections in their order.
fn tridiagonal(a: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>, Vec<Reflector>) {
    let mut diagonal = Vec::with_capacity(n);
    let mut off = Vec::with_capacity(n);
    let mut reflectors = Vec::new();
    for k in 0..n {
        diagonal.push(a[k * n + k]);
        let start = k + 1;
        let Some(&first) = a[k * n..(k + 1) * n].get(start) else { break };
        let mut v = a[k * n + start..(k + 1) * n].to_vec();
        let norm = dot(&v, &v).sqrt();
        let rest: f64 = v[1..].iter().map(|x| x.abs()).sum();
        if rest == 0.0 {
            off.push(first);
            continue;
        }
        let target = if first > 0.0 { -norm } else { norm };
        off.push(target);
        v[0] -= target;
        let scale = 2.0 / dot(&v, &v);
        // The trailing block B becomes H B H = B - v wᵀ - w vᵀ with p = scale B v, w = p - (scale vᵀp / 2) v.
        let mut w = vec![0.0; n - start];
        for (i, &x) in v.iter().enumerate() {
            let row = (start + i) * n;
            add(&mut w, scale * x, &a[row + start..row + n]);
        }
        let half = 0.5 * scale * dot(&v, &w);
        add(&mut w, -half, &v);
        for i in 0..v.len() {
            let row = (start + i) * n;
            let row = &mut a[row + start..row + n];
            add(row, -v[i], &w);
            add(row, -w[i], &v);
        }
        reflectors.push(Reflector { start, v, scale });
    }
    (diagonal, off, reflectors)
}

/// Rotates the tridiagonal matrix to diagonal form, and `rows` (`[n, n]`) along with it.
fn diagonalise(diagonal: &mut [f64], off: &mut [f64], rows: &mut [f64], n: usize) -> Option<()> {
    let size = |values: &[f64]| values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let negligible = f64::EPSILON * (size(diagonal) + size(off));
    let mut end = n.saturating_sub(1);
    for _ in 0..60 * n {
        while end > 0 && off[end - 1].abs() <= negligible {
            off[end - 1] = 0.0;
            end -= 1;
        }
        if end == 0 {
            return Some(());
        }
        let mut start = end - 1;
        while start > 0 && off[start - 1].abs() > negligible {
            start -= 1;
        }
        step(diagonal, off, rows, n, start, end);
    }
    (end == 0).then_some(())
}

/// One implicit QR step with Wilkinson's shift on the unreduced block from `start` to `end`, both included.
fn step(diagonal: &mut [f64], off: &mut [f64], rows: &mut [f64], n: usize, start: usize, end: usize) {
    let half = 0.5 * (diagonal[end - 1] - diagonal[end]);
    let corner = off[end - 1];
    let root = (half * half + corner * corner).sqrt();
    let shift = diagonal[end] - corner * corner / (half + if half < 0.0 { -root } else { root });

    let (mut x, mut bulge) = (diagonal[start] - shift, off[start]);
    for k in start..end {
        let length = (x * x + bulge * bulge).sqrt();
        let (c, s) = if length == 0.0 { (1.0, 0.0) } else { (x / length, bulge / length) };
        if k > start {
            off[k - 1] = length;
        }
        let (p, q, b) = (diagonal[k], diagonal[k + 1], off[k]);
        diagonal[k] = c * c * p + 2.0 * c * s * b + s * s * q;
        diagonal[k + 1] = s * s * p - 2.0 * c * s * b + c * c * q;
        off[k] = c * s * (q - p) + (c * c - s * s) * b;
        x = off[k];
        if k + 1 < end {
            bulge = s * off[k + 1];
            off[k + 1] *= c;
        }
        let (upper, lower) = rows[k * n..(k + 2) * n].split_at_mut(n);
        for (upper, lower) in upper.iter_mut().zip(lower) {
            (*upper, *lower) = (c * *upper + s * *lower, c * *lower - s * *upper);
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `y += factor * x`.
fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeds;

    fn check(a: &[f64], n: usize) -> Leading {
        let found = leading(a.to_vec(), n, n).unwrap();
        let scale = dot(a, a).sqrt().max(1.0);
        for (i, (&value, vector)) in found.values.iter().zip(found.vectors.chunks_exact(n)).enumerate() {
            for (row, &x) in a.chunks_exact(n).zip(vector) {
                assert!((dot(row, vector) - value * x).abs() < 1e-12 * scale, "eigenpair {i} of {n}");
            }
            for (j, other) in found.vectors.chunks_exact(n).enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(vector, other) - expected).abs() < 1e-12, "vectors {i} and {j} of {n}");
            }
        }
        assert!(found.values.is_sorted_by(|a, b| a >= b));
        found
    }

    #[test]
    fn eigenpairs_satisfy_their_equation_and_are_orthonormal() {
        for n in [1, 2, 3, 10, 37] {
            let mut stream = Seeds::root(n as u64).stream();
            let mut a = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    a[i * n + j] = stream.normal();
                    a[j * n + i] = a[i * n + j];
                }
            }
            check(&a, n);
        }
    }

    #[test]
    fn empty_rows_low_rank_and_equal_eigenvalues_are_no_obstacle() {
        check(&[0.0; 25], 5);
        let mut a = vec![0.0; 36];
        for (i, value) in [3.0, 0.0, 3.0, 0.0, 1.0, 3.0].into_iter().enumerate() {
            a[i * 6 + i] = value;
        }
        assert_eq!(check(&a, 6).values, [3.0, 3.0, 3.0, 1.0, 0.0, 0.0]);
        // All ones: rank one.
        let found = check(&[1.0; 49], 7);
        assert!((found.values[0] - 7.0).abs() < 1e-12);
        assert!(found.vectors[..7].iter().all(|&x| x > 0.0), "the sign rule");
    }
}
