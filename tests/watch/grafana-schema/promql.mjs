// Reads a JSON list of PromQL expressions from the standard input and writes, for each, what Prometheus' own grammar sees in
// it: {"error": offset or null, "selectors": [{"metric", "matchers": [[label, operator, value]], "range", "call"}]}.
// `range` is the text between the brackets, `call` the function whose argument the selector is; null where there is none.
import { parser } from "@prometheus-io/lezer-promql";
import { readFileSync } from "node:fs";

const matcherTypes = ["UnquotedLabelMatcher", "QuotedLabelMatcher"];

function selector(node, text) {
  const of = (found) => (found ? text.slice(found.from, found.to) : null);
  const inBrackets = ["MatrixSelector", "SubqueryExpr"].includes(node.parent?.name) ? node.parent : null;
  let outer = (inBrackets ?? node).parent;
  while (outer && ["FunctionCallBody", "ParenExpr"].includes(outer.name)) outer = outer.parent;
  const matchers = matcherTypes
    .flatMap((type) => node.getChild("LabelMatchers")?.getChildren(type) ?? [])
    .map((m) => [m.firstChild, m.firstChild.nextSibling, m.lastChild].map(of))
    .map(([label, operator, value]) => [label, operator, value.slice(1, -1)]);
  return {
    metric: of(node.getChild("Identifier")),
    matchers,
    range: inBrackets ? of(inBrackets.getChild("DurationExpr")) : null,
    call: outer?.name === "FunctionCall" ? of(outer.getChild("FunctionIdentifier")) : null,
  };
}

function facts(text) {
  let error = null;
  const selectors = [];
  parser.parse(text).iterate({
    enter(ref) {
      if (ref.type.isError) error ??= ref.from;
      if (ref.name === "VectorSelector") selectors.push(selector(ref.node, text));
    },
  });
  return { error, selectors };
}

const expressions = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(expressions.map(facts)));
