//! Nearly equal parts.

/// The largest of the nearly equal parts, each of at most `most`, that `whole` is cut into.
pub(crate) fn share(whole: usize, most: usize) -> usize {
    whole.div_ceil(whole.div_ceil(most))
}

/// These parts, as `(start, length)`; of nothing there are none.
pub(crate) fn parts(whole: usize, most: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    let part = share(whole.max(1), most);
    (0..whole).step_by(part).map(move |start| (start, part.min(whole - start)))
}
