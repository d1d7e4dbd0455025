use tidemill_autograd::{
    Backward, Bound, Error, Forward, GradientCheck, Graph, Kernel, Op, Scalar, Specs, Write, check_gradients, ops,
};

use crate::models::{Recorded, linear, models, predict};

#[test]
fn every_operation_agrees_with_finite_differences() {
    for model in models() {
        for (rows, seed, training) in [(1, 1, true), (4, 2, true), (3, 3, false)] {
            let check = GradientCheck { rows, seed, training, ..GradientCheck::default() };
            check_gradients(check, &model.record).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        }
    }
}

/// `y = 2x`, with one thing or another wrong with its gradient.
#[derive(Clone, Copy, Debug)]
enum Twice {
    Right,
    Forgotten,
    Scaled,
    Overwritten,
}

impl Op for Twice {
    fn name(&self) -> &'static str {
        "twice"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        Ok(Bound::new(specs.operands[0].shape, *self))
    }
}

impl<T: Scalar> Kernel<T> for Twice {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let x = cx.operand(0);
        cx.output.iter_mut().zip(x).for_each(|(y, &x)| *y = x + x);
    }

    fn backward(&self, cx: &mut Backward<'_, T>) {
        let Some(x) = cx.operand(0) else { return };
        let slopes = x.upstream.iter().map(|&g| g + g);
        match self {
            Self::Right => x.write.all(x.into, slopes),
            Self::Forgotten => {}
            Self::Scaled => x.write.all(x.into, slopes.map(|g| g * T::of(1.001))),
            Self::Overwritten => Write::Assign.all(x.into, slopes),
        }
    }
}

/// `2x + linear(x)`, in which the gradient of `x` is the sum of both.
fn twice(op: Twice) -> Result<(), Error> {
    check_gradients(GradientCheck::default(), |graph: &mut Graph| -> Recorded {
        let x = graph.input("x", &[2])?;
        let y = graph.add(op, &[x], &[])?;
        let z = linear(graph, x, 2)?;
        predict(graph.add(ops::Add, &[y, z], &[]))
    })
}

#[test]
fn the_check_finds_what_is_wrong() {
    twice(Twice::Right).unwrap();
    for wrong in [Twice::Forgotten, Twice::Scaled, Twice::Overwritten] {
        let error = twice(wrong).unwrap_err().to_string();
        assert!(error.starts_with("gradient of x["), "{wrong:?}: {error}");
    }
}

#[test]
fn the_check_finds_wrong_parameters() {
    // The row of the padding is read, and its gradient left out.
    let error = check_gradients(GradientCheck { rows: 20, ..GradientCheck::default() }, |graph| {
        let c = graph.index_input("c", &[], 2)?;
        let table = crate::models::parameter(graph, "table", &[2, 1])?;
        predict(graph.add(ops::Embedding::new().padding(1), &[c], &[table]))
    });
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("gradient of table1[1]: backward gives 0, finite differences "), "{error}");
}
