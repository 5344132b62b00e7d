//! Proves that guards are tested: takes each guard of `xtask/mutants.toml` away in a copy of the
//! tree and expects the named test to fail.
//!
//! The copy lives in `target/mutants/tree`; the working tree is never written. A mutant that does not
//! compile, whose text is not found exactly once, or whose test does not pass untouched, proves
//! nothing and is reported as broken.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::metadata::Metadata;
use crate::tree;

/// A mutant may turn a wait into an endless one. Longer than this counts as failed, which is caught.
const TEST_SECONDS_MAX: u64 = 300;
/// How often a running test is looked at.
const POLL: Duration = Duration::from_millis(50);

/// The list of guards.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutants {
    #[serde(default, rename = "mutant")]
    list: Vec<Mutant>,
}

/// One guard and the test that must miss it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// Short and unique, for `--only`.
    name: String,
    /// Path from the root.
    file: String,
    /// Text that occurs exactly once in the file.
    find: String,
    /// What stands there instead.
    replace: String,
    /// More that is taken away with it: guards that back each other go together.
    #[serde(default)]
    also: Vec<Edit>,
    /// `cargo test -p … name`; split at white space.
    test: String,
}

/// One change of one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Path from the root.
    file: String,
    /// Text that occurs exactly once in the file.
    find: String,
    /// What stands there instead.
    replace: String,
}

/// Which mutants to run.
#[derive(Debug)]
pub(crate) enum Which {
    All,
    Only(String),
}

/// What came of one mutant.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The test failed, as it should.
    Caught,
    /// The test passed without the guard.
    Survived,
    /// Nothing was proven; the sentence says why.
    Broken(String),
}

impl Mutants {
    /// Reads `xtask/mutants.toml`. Names are unique, tests are `cargo test` commands.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let path = root.join("xtask/mutants.toml");
        let text = fs::read_to_string(&path).context("reading xtask/mutants.toml")?;
        Self::parse(&text).context("reading xtask/mutants.toml")
    }

    fn parse(text: &str) -> Result<Self> {
        let mutants: Self = toml::from_str(text)?;
        let mut seen = std::collections::BTreeSet::new();
        for mutant in &mutants.list {
            ensure!(seen.insert(&mutant.name), "two mutants are called {}", mutant.name);
            ensure!(
                mutant.test.starts_with("cargo test "),
                "{}: the test must be a `cargo test …` command",
                mutant.name
            );
        }
        Ok(mutants)
    }

    /// Mutants whose text is no longer found exactly once, one sentence each.
    pub(crate) fn stale(&self, root: &Path) -> Vec<String> {
        self.list
            .iter()
            .filter_map(|mutant| mutant.changed(root).err().map(|error| format!("{error:#}")))
            .collect()
    }
}

impl Mutant {
    /// The files under `root` without the guard: path, text as it is, text without.
    fn changed(&self, root: &Path) -> Result<Vec<(PathBuf, String, String)>> {
        let mut files: Vec<(PathBuf, String, String)> = Vec::new();
        let also = self.also.iter().map(|edit| (&edit.file, &edit.find, &edit.replace));
        for (file, find, replace) in
            [(&self.file, &self.find, &self.replace)].into_iter().chain(also)
        {
            let path = root.join(file);
            let known = files.iter().position(|(known, ..)| *known == path);
            let place = known.unwrap_or_else(|| {
                let text = fs::read_to_string(&path).unwrap_or_default();
                files.push((path, text.clone(), text));
                files.len() - 1
            });
            let text = &mut files[place].2;
            *text = self.apply(file, find, replace, text)?;
        }
        Ok(files)
    }

    /// A file's text without the guard.
    fn apply(&self, file: &str, find: &str, replace: &str, text: &str) -> Result<String> {
        let found = text.matches(find).count();
        ensure!(
            !find.is_empty() && found == 1,
            "mutant {}: its text occurs {found} times in {file}, it must occur once",
            self.name,
        );
        let changed = text.replacen(find, replace, 1);
        ensure!(changed != text, "mutant {} changes nothing", self.name);
        Ok(changed)
    }
}

/// Prints the names and tests.
pub(crate) fn list() -> Result<()> {
    let root = Metadata::load(false)?.workspace_root;
    for mutant in Mutants::load(&root)?.list {
        println!("{:32}  {:48}  {}", mutant.name, mutant.file, mutant.test);
    }
    Ok(())
}

/// Runs the mutants and prints a table. Fails unless every one of them was caught.
pub(crate) fn run(which: &Which) -> Result<()> {
    let metadata = Metadata::load(false)?;
    let all = Mutants::load(&metadata.workspace_root)?.list;
    let chosen: Vec<Mutant> = match which {
        Which::All => all,
        Which::Only(name) => all.into_iter().filter(|one| &one.name == name).collect(),
    };
    if let Which::Only(name) = which {
        ensure!(!chosen.is_empty(), "no mutant is called {name}");
    }
    ensure!(!chosen.is_empty(), "xtask/mutants.toml lists no mutant");
    let tree = metadata.target_directory.join("mutants/tree");
    copy_tree(&metadata.workspace_root, &tree)?;
    let bench = Bench { tree, target: metadata.target_directory };

    let mut table = Vec::new();
    let mut untouched: BTreeMap<String, Option<String>> = BTreeMap::new();
    for mutant in &chosen {
        println!("mutants: {} …", mutant.name);
        let started = Instant::now();
        let verdict = match untouched.get(&mutant.test) {
            Some(known) => known.clone(),
            None => {
                let fresh = bench.untouched(&mutant.test)?;
                untouched.insert(mutant.test.clone(), fresh.clone());
                fresh
            }
        };
        let verdict = match verdict {
            Some(reason) => Verdict::Broken(reason),
            None => bench.try_mutant(mutant)?,
        };
        table.push((mutant, verdict, started.elapsed()));
    }

    let mut failed = 0;
    println!("\n{:32}  {:>7}  verdict", "mutant", "seconds");
    for (mutant, verdict, took) in table {
        let verdict = match verdict {
            Verdict::Caught => "caught".to_owned(),
            Verdict::Survived => format!("SURVIVED {}", mutant.test),
            Verdict::Broken(reason) => format!("BROKEN {reason}"),
        };
        failed += usize::from(verdict != "caught");
        println!("{:32}  {:7.1}  {verdict}", mutant.name, took.as_secs_f64());
    }
    ensure!(failed == 0, "{failed} of {} mutants were not caught", chosen.len());
    println!("mutants: all {} were caught", chosen.len());
    Ok(())
}

/// The copy in which mutants live. The build folder is the usual one: dependencies are not built
/// twice. The copy's own crates have the same names in it as ours, wherever they lie; they are built
/// without debug information, which gives them other names, so that no mutant is taken for our code.
struct Bench {
    tree: PathBuf,
    target: PathBuf,
}

impl Bench {
    /// `None` when the test compiles, runs at least once and passes without a mutant.
    fn untouched(&self, test: &str) -> Result<Option<String>> {
        let run = self.cargo(test, &[])?;
        if !run.passed {
            return Ok(Some(format!("the test fails without it too\n{}", run.tail())));
        }
        if tests_run(&run.output) == 0 {
            return Ok(Some(format!("no test ran: {test}")));
        }
        Ok(None)
    }

    fn try_mutant(&self, mutant: &Mutant) -> Result<Verdict> {
        let files = match mutant.changed(&self.tree) {
            Ok(files) => files,
            Err(error) => return Ok(Verdict::Broken(error.to_string())),
        };
        for (path, _, changed) in &files {
            fs::write(path, changed)?;
        }
        let verdict = self.judge(mutant);
        for (path, text, _) in &files {
            fs::write(path, text)?;
        }
        verdict
    }

    fn judge(&self, mutant: &Mutant) -> Result<Verdict> {
        let built = self.cargo(&mutant.test, &["--no-run"])?;
        if !built.passed {
            return Ok(Verdict::Broken(format!("it does not compile\n{}", built.tail())));
        }
        let run = self.cargo(&mutant.test, &[])?;
        Ok(if run.passed { Verdict::Survived } else { Verdict::Caught })
    }

    /// Runs a `cargo test` line in the copy; more arguments go before its `--`.
    fn cargo(&self, test: &str, more: &[&str]) -> Result<Run> {
        let mut words: Vec<&str> = test.split_whitespace().skip(1).collect();
        let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        words.splice(end..end, more.iter().copied());

        let log = self.target.join("mutants/output.txt");
        let out = fs::File::create(&log)?;
        let mut child = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(words)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            // Its own group, so that a test that hangs goes with its children.
            .process_group(0)
            .spawn()
            .context("running cargo test")?;

        // Building may take long; only the run of the tests is bounded.
        let started = Instant::now();
        let bound = Duration::from_secs(if more.is_empty() { TEST_SECONDS_MAX } else { 3600 });
        let passed = loop {
            if let Some(status) = child.try_wait()? {
                break status.success();
            }
            if started.elapsed() > bound {
                if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                    rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
                }
                child.wait()?;
                break false;
            }
            std::thread::park_timeout(POLL);
        };
        let output = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok(Run { passed, output })
    }
}

struct Run {
    passed: bool,
    output: String,
}

impl Run {
    /// The last lines, enough to see what went wrong.
    fn tail(&self) -> String {
        let lines: Vec<&str> = self.output.lines().collect();
        let from = lines.len().saturating_sub(15);
        lines[from..].join("\n")
    }
}

/// Sum of `N passed` over all `test result:` lines.
fn tests_run(output: &str) -> u64 {
    output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Makes `to` the same as `from`. Files that are equal keep their times, so that cargo builds only
/// what changed.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let wanted = tree::walk(from)?;
    for (relative, path) in &wanted {
        let target = to.join(relative);
        let bytes = fs::read(path)?;
        if fs::read(&target).is_ok_and(|old| old == bytes) {
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        // Copying keeps the executable bit of scripts.
        fs::copy(path, &target).with_context(|| format!("copying {relative}"))?;
    }
    for (relative, path) in tree::walk(to)? {
        if !wanted.contains_key(&relative) {
            fs::remove_file(path)?;
        }
    }
    if !to.join("Cargo.toml").exists() {
        bail!("{} is not a workspace", from.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Mutant, Mutants, copy_tree, tests_run};

    fn check(text: &str, find: &str, replace: &str, expect: Result<&str, &str>) {
        let mutant = Mutant {
            name: "m".to_owned(),
            file: "f.rs".to_owned(),
            find: find.to_owned(),
            replace: replace.to_owned(),
            also: Vec::new(),
            test: "cargo test -p x y".to_owned(),
        };
        let got = mutant.apply("f.rs", find, replace, text).map_err(|error| error.to_string());
        assert_eq!(got, expect.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn a_text_that_is_absent_or_not_unique_fails_loudly() {
        let absent = "mutant m: its text occurs 0 times in f.rs, it must occur once";
        let twice = "mutant m: its text occurs 2 times in f.rs, it must occur once";
        check("if fenced { }", "if fenced", "if false", Ok("if false { }"));
        check("if open { }", "if fenced", "if false", Err(absent));
        check("", "if fenced", "if false", Err(absent));
        check("if a; if a;", "if a", "if b", Err(twice));
        check("if a", "if a", "if a", Err("mutant m changes nothing"));
    }

    #[test]
    fn what_backs_a_guard_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("f"), "a; b;").unwrap();
        fs::write(root.path().join("g"), "c;").unwrap();
        let more =
            "also = [{ file='f', find='b', replace='y' }, { file='g', find='c', replace='z' }]";
        let text = format!(
            "[[mutant]]\nname='m'\nfile='f'\nfind='a'\nreplace='x'\n{more}\ntest='cargo test -p x'\n"
        );
        let mutants = Mutants::parse(&text).unwrap();
        let files = mutants.list[0].changed(root.path()).unwrap();
        let changed: Vec<&str> = files.iter().map(|(_, _, changed)| changed.as_str()).collect();
        assert_eq!(changed, ["x; y;", "z;"]);
        assert!(mutants.stale(root.path()).is_empty());
        fs::write(root.path().join("g"), "d;").unwrap();
        assert_eq!(mutants.stale(root.path()).len(), 1);
    }

    #[test]
    fn an_empty_text_is_refused() {
        let mutants = Mutants::parse(
            r#"
            [[mutant]]
            name = "m"
            file = "f.rs"
            find = ""
            replace = "x"
            test = "cargo test -p x"
            "#,
        )
        .unwrap();
        assert!(mutants.list[0].apply("f.rs", "", "x", "").is_err());
        assert!(mutants.list[0].apply("f.rs", "", "x", "a").is_err());
    }

    #[test]
    fn the_list_is_checked() {
        let one = |name: &str, test: &str| {
            format!("[[mutant]]\nname='{name}'\nfile='f'\nfind='a'\nreplace='b'\ntest='{test}'\n")
        };
        assert!(Mutants::parse("").unwrap().list.is_empty());
        assert!(Mutants::parse(&one("a", "cargo test -p x")).is_ok());
        assert!(Mutants::parse(&one("a", "true")).is_err());
        let twice = one("a", "cargo test -p x") + &one("a", "cargo test -p y");
        assert!(Mutants::parse(&twice).is_err());
    }

    #[test]
    fn a_file_that_went_away_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let mutants = Mutants::parse(
            "[[mutant]]\nname='a'\nfile='f.rs'\nfind='x'\nreplace='y'\ntest='cargo test -p z'\n",
        )
        .unwrap();
        assert_eq!(mutants.stale(folder.path()).len(), 1);
        fs::write(folder.path().join("f.rs"), "x").unwrap();
        assert!(mutants.stale(folder.path()).is_empty());
    }

    #[test]
    fn tests_are_counted_over_all_binaries() {
        let output = "test result: ok. 2 passed; 0 failed\nnoise\n\
                      test result: ok. 0 passed; 0 failed\ntest result: ok. 3 passed; 0 failed";
        assert_eq!(tests_run(output), 5);
        assert_eq!(tests_run("test result: FAILED. 2 passed; 1 failed"), 0);
    }

    #[test]
    fn a_copy_follows_its_source() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(from.path().join(name), text).unwrap();
        write("Cargo.toml", "[workspace]");
        write("a.rs", "one");
        copy_tree(from.path(), to.path()).unwrap();
        let before = fs::metadata(to.path().join("Cargo.toml")).unwrap().modified().unwrap();

        write("b.rs", "two");
        fs::remove_file(from.path().join("a.rs")).unwrap();
        copy_tree(from.path(), to.path()).unwrap();
        assert!(!to.path().join("a.rs").exists());
        assert_eq!(fs::read_to_string(to.path().join("b.rs")).unwrap(), "two");
        let after = fs::metadata(to.path().join("Cargo.toml")).unwrap().modified().unwrap();
        assert_eq!(before, after);
    }
}
