//! The grammars have no rule that calls itself.
//!
//! pest is built without the feature that measures the stack during a parse, so a recursive rule could be made to overflow it by
//! nested input.

use std::collections::{BTreeMap, BTreeSet};

use pest_meta::optimizer::OptimizedExpr;

const GRAMMARS: [(&str, &str); 3] = [
    ("setkey", include_str!("../src/setkey/grammar.pest")),
    ("racoon", include_str!("../src/racoon/grammar.pest")),
    ("policy", include_str!("../../libpfkey/src/policy/grammar.pest")),
];

/// Returns which rules each rule names.
fn calls(grammar: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (_, rules) = pest_meta::parse_and_optimize(grammar).expect("a valid grammar");
    let named = |expression: OptimizedExpr| match expression {
        OptimizedExpr::Ident(name) => Some(name),
        _ => None,
    };
    rules.into_iter().map(|rule| (rule.name, rule.expr.iter_top_down().filter_map(named).collect())).collect()
}

/// Returns the rules that are left when those that name no other rule are removed again and again: those of cycles, and what names
/// them.
fn recursive(mut calls: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    // Built-in rules name no others.
    let defined = calls.keys().cloned().collect::<BTreeSet<_>>();
    calls.values_mut().for_each(|named| named.retain(|name| defined.contains(name)));
    loop {
        let ends = calls.iter().filter(|(_, named)| named.is_empty()).map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if ends.is_empty() {
            return calls.into_keys().collect();
        }
        for end in ends {
            calls.remove(&end);
            for named in calls.values_mut() {
                named.remove(&end);
            }
        }
    }
}

#[test]
fn no_rule_calls_itself() {
    for (name, grammar) in GRAMMARS {
        let calls = calls(grammar);
        assert!(calls.len() > 10, "{name}: {} rules", calls.len());
        assert_eq!(recursive(calls), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_rule_that_calls_itself_is_found() {
    assert_eq!(recursive(calls(r#"a = { "(" ~ b? ~ ")" } b = { c | a } c = { "c" }"#)), ["a", "b"]);
}
