//! Finds the shell blocks of a document and what is to be done with each.

use anyhow::{Result, bail};

/// Fences with these words hold commands: all lines, or those behind a prompt.
const LANGUAGES: [&str; 2] = ["sh", "console"];
/// Stands before what a reader types; other lines of the block are what is answered.
const PROMPT: &str = "$ ";

/// What is done with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// Run, one command after the other; each has to end well.
    Run,
    /// Run until the end of the document; each has said this before the next one starts.
    Stays(String),
    /// Not run, for this reason; that commands and options exist is checked.
    NotRun(String),
}

/// A block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Line of its fence, counted from 1.
    pub line: usize,
    pub usage: Use,
    /// Commands as a shell takes them; continued lines are one.
    pub commands: Vec<String>,
}

/// A block of whatever kind that has begun.
struct Fenced<'a> {
    start: usize,
    language: &'a str,
    lines: Vec<&'a str>,
}

/// The shell blocks of a document. A comment before a block says what is done with it: `<!-- not run: WHY -->`,
/// `<!-- stays: WHAT IT SAYS WHEN READY -->`; without one it is run.
pub fn find(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut usage: Option<Use> = None;
    let mut open: Option<Fenced<'_>> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some(fenced) = open.as_mut()
            && !line.starts_with("```")
        {
            fenced.lines.push(line);
        } else if let Some(Fenced { start, language, lines }) = open.take() {
            let marked = usage.take();
            if !LANGUAGES.contains(&language) {
                if lines.iter().any(|line| line.starts_with(PROMPT)) {
                    bail!("line {start}: a block with a prompt is not marked as `console`");
                }
                if marked.is_some() {
                    bail!("line {start}: a comment for commands stands before another block");
                }
                continue;
            }
            let commands = commands(language, &lines);
            if commands.is_empty() {
                bail!("line {start}: there is no command in this block");
            }
            blocks.push(Block { line: start, usage: marked.unwrap_or(Use::Run), commands });
        } else if let Some(language) = line.strip_prefix("```") {
            open = Some(Fenced { start: number, language: language.trim(), lines: Vec::new() });
        } else if let Some(marked) = comment(line) {
            usage = Some(marked);
        } else if !line.trim().is_empty() && usage.is_some() {
            bail!("line {number}: between a comment for commands and its block stands text");
        }
    }
    Ok(blocks)
}

fn comment(line: &str) -> Option<Use> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    let (word, rest) = inner.split_once(": ")?;
    match word {
        "not run" => Some(Use::NotRun(rest.to_owned())),
        "stays" => Some(Use::Stays(rest.to_owned())),
        _ => None,
    }
}

fn commands(language: &str, lines: &[&str]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in lines {
        let typed = match (language, continues) {
            (_, true) | ("sh", _) => Some(*line),
            _ => line.strip_prefix(PROMPT),
        };
        let Some(typed) = typed.filter(|typed| !typed.trim().is_empty()) else { continue };
        match commands.last_mut() {
            Some(last) if continues => *last += &format!("\n{typed}"),
            _ if typed.trim_start().starts_with('#') => continue,
            _ => commands.push(typed.to_owned()),
        }
        continues = typed.ends_with('\\');
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_what_is_done_with_them() {
        let text = "text\n\n```console\n$ one --two   # why\nwhat it says\n$ three \\\n    four\n```\n\
                    <!-- not run: needs a release -->\n\n```sh\n# a remark\nfive\nsix\n```\n\
                    <!-- stays: is ready -->\n```console\n$ seven\n```\n```\nConf = 1\n```\n\
                    <!-- another comment -->\ntext\n";
        let blocks = find(text).unwrap();
        let block = |line, usage, commands: &[&str]| Block {
            line,
            usage,
            commands: commands.iter().map(|text| (*text).to_owned()).collect(),
        };
        assert_eq!(
            blocks,
            [
                block(3, Use::Run, &["one --two   # why", "three \\\n    four"]),
                block(11, Use::NotRun("needs a release".into()), &["five", "six"]),
                block(17, Use::Stays("is ready".into()), &["seven"]),
            ]
        );
    }

    #[test]
    fn blocks_that_would_be_overlooked_are_mistakes() {
        for (text, part) in [
            ("```\n$ typed\n```\n", "line 1: a block with a prompt"),
            ("\n```console\nno prompt\n```\n", "line 2: there is no command"),
            ("<!-- not run: why -->\ntext\n```sh\nx\n```\n", "line 2: between"),
            ("<!-- not run: why -->\n```toml\nx\n```\n", "line 2: a comment for commands"),
        ] {
            let error = find(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
