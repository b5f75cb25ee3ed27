#include "workflow/execute/signature.h"

#include <algorithm>
#include <vector>

#include "formats/json/json.h"
#include "workflow/execute/digest.h"

namespace hearth::workflow {
namespace {

using Signatures = std::unordered_map<std::string, std::string>;

// Literals as a fingerprint function gets them: links are left out.
Value literals_of(const Value& inputs) {
  Value literals = Value::object();
  for (const auto& [name, value] : inputs.as_object()) {
    if (!as_link(value)) literals.set(name, value);
  }
  return literals;
}

bool shows_its_id(const NodeType& type) {
  return type.is_not_idempotent || std::any_of(type.inputs.begin(), type.inputs.end(), [](const InputSpec& input) {
           return input.kind == InputSpec::Kind::kHidden && input.type == "UNIQUE_ID";
         });
}

// "" when the node always runs.
std::string fingerprint_of(const NodeType& type, const Value& inputs, const Places& places) {
  if (!type.fingerprint) return "same";
  try {
    std::optional<Value> mark = type.fingerprint(places, literals_of(inputs));
    return mark ? json::write(*mark) : "";
  } catch (const std::exception&) {
    return "";  // a file that is gone: let the node run and say so
  }
}

// All linked nodes have their signatures.
std::string signature_of(const std::string& id, const NodeType& type, const Value& inputs, const Places& places,
                         const Signatures& made) {
  std::string fingerprint = fingerprint_of(type, inputs, places);
  if (fingerprint.empty()) return "";
  Digest digest;
  digest.add_field(type.class_name);
  digest.add_field(fingerprint);
  if (shows_its_id(type)) digest.add_field(id);
  std::vector<const Value::Member*> sorted;
  for (const auto& member : inputs.as_object()) sorted.push_back(&member);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->first < b->first; });
  for (const Value::Member* member : sorted) {
    digest.add_field(member->first);
    if (std::optional<Link> link = as_link(member->second)) {
      auto source = made.find(link->node);
      if (source == made.end() || source->second.empty()) return "";
      digest.add_field("link");
      digest.add_field(source->second);
      digest.add_field(std::to_string(link->output));
    } else {
      digest.add_field("literal");
      digest.add_field(json::write(member->second));
    }
  }
  return digest.hex();
}

}  // namespace

Signatures signatures(const Graph& graph, const Registry& registry, const Places& places) {
  Signatures made;
  enum class Phase { kOpen, kDone };
  std::unordered_map<std::string, Phase> phases;
  std::vector<std::string> stack = graph.ids();
  std::reverse(stack.begin(), stack.end());
  while (!stack.empty()) {
    std::string id = stack.back();
    const Value* inputs = graph.inputs(id);
    const NodeType* type = registry.find(graph.class_of(id));
    auto [phase, is_new] = phases.emplace(id, Phase::kOpen);
    if (!is_new || !inputs || !type) {
      // Seen before: its links are done now, or it is part of a cycle and stays without.
      if (phase->second == Phase::kOpen && inputs && type) made[id] = signature_of(id, *type, *inputs, places, made);
      phase->second = Phase::kDone;
      stack.pop_back();
      continue;
    }
    for (const auto& [name, value] : inputs->as_object()) {
      std::optional<Link> link = as_link(value);
      if (link && graph.has(link->node) && !phases.contains(link->node)) stack.push_back(link->node);
    }
  }
  return made;
}

}  // namespace hearth::workflow
