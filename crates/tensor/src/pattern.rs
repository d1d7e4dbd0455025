//! Patterns of names: `*` stands for any characters, `?` for one.

/// Backtracks to the last star only, which is enough: an earlier one could not match more.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, eaten)) => {
                    star = Some((at, eaten + 1));
                    (p, n) = (at + 1, eaten + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern, name, want| assert_eq!(matches(pattern, name), want, "{pattern} on {name}");
        check("dense1.weight", "dense1.weight", true);
        check("dense1.weight", "dense1.weights", false);
        check("*.weight", "block.dense1.weight", true);
        check("*.weight", "weight", false);
        check("*", "", true);
        check("dense?.*", "dense1.bias", true);
        check("dense?.*", "dense10.bias", false);
        check("*a*b", "xaxbxab", true);
        check("*a*b", "xaxbxa", false);
        check("", "a", false);
    }
}
