//! Short forms of the operations that losses are composed from.

use crate::ops::{Add, Affine, Divide, Map, Maximum, Minimum, Multiply, Reduce, Subtract};
use crate::{Error, Graph, Op, Var};

/// Arithmetic on values, element by element, and of the elements of a row. All values of an operation have one shape.
///
/// # Example
///
/// The quantile loss `max(q (t - p), (q - 1) (t - p))`:
///
/// ```
/// use tidemill_autograd::{GradientCheck, Graph, Head, Error, Var, check_gradients};
///
/// fn quantile(graph: &mut Graph, prediction: Var, q: f64) -> Result<Head, Error> {
///     let target = graph.target(Graph::TARGET, &[1])?;
///     let error = graph.sub(target, prediction)?;
///     let above = graph.scale(error, q)?;
///     let below = graph.scale(error, q - 1.0)?;
///     let loss = graph.max(above, below)?;
///     Ok(Head::with_loss(prediction, graph.mean(loss)?))
/// }
///
/// check_gradients(GradientCheck::default(), |graph| {
///     let x = graph.input("x", &[1])?;
///     let prediction = graph.scale(x, 3.0)?;
///     quantile(graph, prediction, 0.9)
/// })?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// Each fails when its operands are categories or of different shapes.
#[expect(clippy::missing_errors_doc, reason = "said once for all, above")]
impl Graph {
    fn unary(&mut self, op: impl Op, x: Var) -> Result<Var, Error> {
        self.add(op, &[x], &[])
    }

    fn binary(&mut self, op: impl Op, a: Var, b: Var) -> Result<Var, Error> {
        self.add(op, &[a, b], &[])
    }

    /// `a + b`.
    pub fn plus(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Add, a, b)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Subtract, a, b)
    }

    /// `a b`.
    pub fn mul(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Multiply, a, b)
    }

    /// `a / b`.
    pub fn div(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Divide, a, b)
    }

    /// The larger of `a` and `b`.
    pub fn max(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Maximum, a, b)
    }

    /// The smaller of `a` and `b`.
    pub fn min(&mut self, a: Var, b: Var) -> Result<Var, Error> {
        self.binary(Minimum, a, b)
    }

    /// `factor x`.
    pub fn scale(&mut self, x: Var, factor: f64) -> Result<Var, Error> {
        self.unary(Affine { scale: factor, offset: 0.0 }, x)
    }

    /// `x + number`.
    pub fn offset(&mut self, x: Var, number: f64) -> Result<Var, Error> {
        self.unary(Affine { scale: 1.0, offset: number }, x)
    }

    /// `exp x`.
    pub fn exp(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Map::Exp, x)
    }

    /// `ln x`.
    pub fn ln(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Map::Ln, x)
    }

    /// `|x|`.
    pub fn abs(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Map::Abs, x)
    }

    /// `x²`.
    pub fn square(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Map::Square, x)
    }

    /// `√x`.
    pub fn sqrt(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Map::Sqrt, x)
    }

    /// `xᵃ`.
    pub fn power(&mut self, x: Var, exponent: f64) -> Result<Var, Error> {
        self.unary(Map::Power(exponent), x)
    }

    /// The sum of each row's elements.
    pub fn sum(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Reduce::Sum, x)
    }

    /// The mean of each row's elements.
    pub fn mean(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Reduce::Mean, x)
    }

    /// The largest of each row's elements.
    pub fn largest(&mut self, x: Var) -> Result<Var, Error> {
        self.unary(Reduce::Max, x)
    }
}
