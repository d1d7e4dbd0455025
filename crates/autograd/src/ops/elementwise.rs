use tidemill_tensor::Scalar;

use crate::{Backward, Bound, Forward, Kernel, Op, Specs};

/// `y = f(x)`, element by element, of functions that losses are composed from.
///
/// Outside of where a function is defined, it gives what floating point arithmetic gives: NaN or infinity.
///
/// # Shapes
///
/// `y` is of `x`'s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Map {
    /// `exp x`.
    Exp,
    /// `ln x`.
    Ln,
    /// `|x|`; its slope at zero is zero.
    Abs,
    /// `x²`.
    Square,
    /// `√x`.
    Sqrt,
    /// `xᵃ` of this exponent.
    Power(f64),
}

impl Map {
    fn value<T: Scalar>(self, x: T) -> T {
        match self {
            Self::Exp => x.exp(),
            Self::Ln => x.ln(),
            Self::Abs => x.abs(),
            Self::Square => x * x,
            Self::Sqrt => x.sqrt(),
            Self::Power(exponent) => x.powf(T::of(exponent)),
        }
    }

    fn slope<T: Scalar>(self, x: T, y: T) -> T {
        match self {
            Self::Exp => y,
            Self::Ln => x.recip(),
            Self::Abs if x == T::zero() => T::zero(),
            Self::Abs => x.signum(),
            Self::Square => T::of(2.0) * x,
            Self::Sqrt => T::of(0.5) / y,
            Self::Power(exponent) => T::of(exponent) * x.powf(T::of(exponent - 1.0)),
        }
    }
}

impl Op for Map {
    fn name(&self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Ln => "ln",
            Self::Abs => "abs",
            Self::Square => "square",
            Self::Sqrt => "sqrt",
            Self::Power(_) => "power",
        }
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([x], []) = (specs.reals()?, specs.params()?);
        match *self {
            Self::Power(exponent) if !exponent.is_finite() => {
                Err(format!("the exponent is {exponent}, expected a finite number"))
            }
            _ => Ok(Bound::new(x.shape, *self)),
        }
    }
}

impl<T: Scalar> Kernel<T> for Map {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let x = cx.operand(0);
        cx.output.iter_mut().zip(x).for_each(|(y, &x)| *y = self.value(x));
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (values, output) = (cx.operand_values(0), cx.output);
        let Some(x) = cx.operand(0) else { return };
        let all = values.iter().zip(output).zip(&*x.upstream);
        x.write.all(x.into, all.map(|((&x, &y), &g)| g * self.slope(x, y)));
    }
}

/// `y = scale x + offset`, element by element.
///
/// # Shapes
///
/// `y` is of `x`'s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// What each element is multiplied by.
    pub scale: f64,
    /// What is added then.
    pub offset: f64,
}

impl Op for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let ([x], []) = (specs.reals()?, specs.params()?);
        if !(self.scale.is_finite() && self.offset.is_finite()) {
            return Err(format!("{} x + {}; expected finite numbers", self.scale, self.offset));
        }
        Ok(Bound::new(x.shape, *self))
    }
}

impl<T: Scalar> Kernel<T> for Affine {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (x, scale, offset) = (cx.operand(0), T::of(self.scale), T::of(self.offset));
        cx.output.iter_mut().zip(x).for_each(|(y, &x)| *y = scale * x + offset);
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let scale = T::of(self.scale);
        let Some(x) = cx.operand(0) else { return };
        x.write.all(x.into, x.upstream.iter().map(|&g| scale * g));
    }
}

/// A function of two operands, element by element.
trait Binary: Copy {
    fn value<T: Scalar>(self, a: T, b: T) -> T;

    /// The slopes by both.
    fn slopes<T: Scalar>(self, a: T, b: T) -> [T; 2];
}

macro_rules! binary {
    ($(#[$doc:meta])* $op:ident, $name:literal, |$a:ident, $b:ident| $value:expr, $slopes:expr) => {
        $(#[$doc])*
        ///
        /// # Shapes
        ///
        /// All alike.
        #[derive(Clone, Copy, Debug)]
        pub struct $op;

        impl Op for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
                let (_, []) = (specs.reals::<2>()?, specs.params()?);
                Ok(Bound::new(specs.alike()?, *self))
            }
        }

        impl Binary for $op {
            fn value<T: Scalar>(self, $a: T, $b: T) -> T {
                $value
            }

            fn slopes<T: Scalar>(self, $a: T, $b: T) -> [T; 2] {
                $slopes
            }
        }

        impl<T: Scalar> Kernel<T> for $op {
            fn forward(&self, cx: &mut Forward<'_, T>) {
                let (a, b) = (cx.operand(0), cx.operand(1));
                cx.output.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = self.value(a, b));
            }

            fn backward(&self, cx: &mut Backward<'_, T>) {
                let (a, b) = (cx.operand_values(0), cx.operand_values(1));
                for i in 0..2 {
                    let Some(x) = cx.operand(i) else { continue };
                    let all = a.iter().zip(b).zip(&*x.upstream);
                    x.write.all(x.into, all.map(|((&a, &b), &g)| g * self.slopes(a, b)[i]));
                }
            }
        }
    };
}

binary! {
    /// `y = a - b`, element by element.
    Subtract, "subtract", |a, b| a - b, {
        let (_, _) = (a, b);
        [T::one(), -T::one()]
    }
}

binary! {
    /// `y = a / b`, element by element.
    Divide, "divide", |a, b| a / b, [b.recip(), -a / (b * b)]
}

binary! {
    /// `y = max(a, b)`, element by element; NaN where one is. The gradient goes to the larger one, to `a` where they are
    /// equal.
    Maximum, "maximum", |a, b| if b > a || b.is_nan() { b } else { a }, pick(b > a)
}

binary! {
    /// `y = min(a, b)`, element by element; NaN where one is. The gradient goes to the smaller one, to `a` where they are
    /// equal.
    Minimum, "minimum", |a, b| if b < a || b.is_nan() { b } else { a }, pick(b < a)
}

fn pick<T: Scalar>(second: bool) -> [T; 2] {
    if second { [T::zero(), T::one()] } else { [T::one(), T::zero()] }
}
