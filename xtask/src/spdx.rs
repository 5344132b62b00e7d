//! Just enough SPDX: is a licence expression satisfied by a list of allowed licences?
//!
//! `OR` needs one side, `AND` both, `WITH` makes one name of licence and exception. The old form
//! `MIT/Apache-2.0` means `OR`. It is not a validator.

use anyhow::{Result, bail};

/// Whether `expression` can be met with `allowed` only. Fails on an expression it cannot read.
pub(crate) fn satisfied(expression: &str, allowed: &[String]) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let answer = reader.or()?;
    if let Some(word) = reader.words.first() {
        bail!("licence expression {expression:?} cannot be read from {word:?} on");
    }
    Ok(answer)
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Reader<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn or(&mut self) -> Result<bool> {
        let mut answer = self.and()?;
        while self.take("OR") {
            answer |= self.and()?;
        }
        Ok(answer)
    }

    fn and(&mut self) -> Result<bool> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool> {
        if self.take("(") {
            let answer = self.or()?;
            if !self.take(")") {
                bail!("a bracket is not closed");
            }
            return Ok(answer);
        }
        let mut name = self.name()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.name()?);
        }
        Ok(self.allowed.contains(&name))
    }

    fn name(&mut self) -> Result<&str> {
        match self.words {
            [word, rest @ ..] if !["OR", "AND", "WITH", "(", ")"].contains(word) => {
                self.words = rest;
                Ok(word)
            }
            _ => bail!("a licence name is missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    fn check(expression: &str, expect: Option<bool>) {
        let allowed =
            ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"].map(str::to_owned);
        let got = satisfied(expression, &allowed).ok();
        assert_eq!(got, expect, "{expression}");
    }

    #[test]
    fn expressions() {
        check("MIT", Some(true));
        check("GPL-3.0", Some(false));
        check("GPL-3.0 OR MIT", Some(true));
        check("MIT/Apache-2.0", Some(true));
        check("MIT AND GPL-3.0", Some(false));
        check("ISC AND (GPL-3.0 OR Apache-2.0)", Some(true));
        check("(MIT OR ISC) AND Unicode-3.0", Some(false));
        check("MIT OR GPL-3.0 AND GPL-2.0", Some(true));
        check("Apache-2.0 WITH LLVM-exception", Some(true));
        check("MIT WITH LLVM-exception", Some(false));
        check("", None);
        check("MIT OR", None);
        check("(MIT", None);
        check("MIT ISC", None);
    }
}
