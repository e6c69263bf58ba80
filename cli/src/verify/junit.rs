//! The verdict as JUnit XML, for pipelines: one test case for each thing that is judged.

use std::fmt::Write;

/// One test case.
pub struct Case {
    /// What is judged.
    pub name: String,
    /// How long it took, in microseconds.
    pub took: u64,
    /// Why it failed.
    pub failures: Vec<String>,
}

/// The whole file.
pub fn document(suite: &str, properties: &[(&str, String)], cases: &[Case]) -> String {
    let failed = cases.iter().filter(|c| !c.failures.is_empty()).count();
    let seconds = |us: u64| format!("{}.{:03}", us / 1_000_000, us / 1000 % 1000);
    let total = seconds(cases.iter().map(|c| c.took).sum());
    let counts = format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{total}\"", cases.len());
    let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"graceshut verify\" {counts}>\n");
    let _ = writeln!(out, "  <testsuite name=\"{}\" {counts} skipped=\"0\">", escape(suite));
    out.push_str("    <properties>\n");
    for (name, value) in properties {
        let _ = writeln!(out, "      <property name=\"{}\" value=\"{}\"/>", escape(name), escape(value));
    }
    out.push_str("    </properties>\n");
    for case in cases {
        let head =
            format!("<testcase name=\"{}\" classname=\"graceshut.verify\" time=\"{}\"", escape(&case.name), seconds(case.took));
        if case.failures.is_empty() {
            let _ = writeln!(out, "    {head}/>");
            continue;
        }
        let _ = writeln!(out, "    {head}>");
        for failure in &case.failures {
            let text = escape(failure);
            let _ = writeln!(out, "      <failure type=\"graceshut\" message=\"{text}\">{text}</failure>");
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// XML 1.0 has no way to write most control characters.
fn escape(text: &str) -> String {
    crate::report::escape(text)
}
