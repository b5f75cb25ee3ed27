// What a node gets when it runs: NodeCall with its inputs, and NodeServices for everything outside the graph (models
// and sampling, folders, picture files). Services outlive every call; a NodeCall lives for one.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/allocator.h"
#include "workflow/files/places.h"
#include "workflow/registry.h"
#include "workflow/values.h"

namespace hearth::workflow {

class PictureStore;
class PictureWork;

/// How sampler previews are made when a prompt does not say.
enum class PreviewMethod { kNone, kAuto, kLatentToRgb, kTinyDecoder };

struct NodeServices {
  PictureWork* pictures = nullptr;  // nullptr: no engine; nodes that need one fail
  /// Makes room when memory is short and before a failed node is tried once more: models nobody uses go. May be empty.
  std::function<void()> free_unused = {};
  const Places& places;
  PictureStore& store;
  Allocator& memory;                // for images, masks and latents
  PreviewMethod preview_method = PreviewMethod::kNone;
  bool writes_metadata = true;      // prompt and workflow inside saved files
};

/// A preview a node shows beside its progress; `mime` is image/jpeg or image/png.
struct EncodedPreview {
  std::string mime, bytes;
};

/// Where a call's progress goes and who may stop it; implemented by run_job.
class CallWatch {
 public:
  virtual ~CallWatch() = default;
  virtual bool is_cancelled() const = 0;
  virtual void progress(int64_t done, int64_t total, const EncodedPreview* preview) = 0;
  virtual void text(std::string_view text) = 0;
};

/// What a node gives back: each output a list of values (one, unless the output is declared a list), and what it shows.
struct NodeResult {
  std::vector<NodeValues> outputs;
  Value ui;  // object of lists, or null
};

/// One value for each output.
template <class... Values>
NodeResult give(Values... values) {
  NodeResult result;
  (result.outputs.push_back(NodeValues{std::move(values)}), ...);
  return result;
}

class NodeCall {
 public:
  struct Inputs {
    std::vector<std::pair<std::string, NodeValues>> by_name;  // in declared order; one value each unless takes_lists
  };
  struct About {
    std::string node_id;
    const Value* prompt = nullptr;         // the whole graph
    const Value* extra_pnginfo = nullptr;  // null when the prompt has none
    std::string preview_method;            // of extra_data; "" when absent
  };
  NodeCall(const NodeType& type, Inputs inputs, const About& about, NodeServices& services, CallWatch& watch)
      : type_(type), inputs_(std::move(inputs)), about_(about), services_(services), watch_(watch) {}

  /// Given and not nothing.
  bool has(std::string_view name) const;
  /// The value of an input, or its declared default; kInvalidArgument naming the input when there is neither.
  NodeValue value(std::string_view name) const;
  const NodeValues& values(std::string_view name) const;  // takes_lists; empty when not given
  template <class T>
  T get(std::string_view name) const {
    return typed<T>(name, value(name));
  }

  int64_t integer(std::string_view name) const;
  uint64_t seed(std::string_view name) const;
  double number(std::string_view name) const;
  bool flag(std::string_view name) const;
  std::string text(std::string_view name) const;

  const About& about() const { return about_; }
  const NodeType& type() const { return type_; }
  NodeServices& services() const { return services_; }
  CallWatch& watch() const { return watch_; }
  PictureWork& pictures() const;  // kUnsupported without an engine
  Allocator& memory() const { return services_.memory; }
  /// Throws kCancelled when the job was interrupted; for loops over rows and pictures.
  void check_cancelled() const;

 private:
  const NodeValues* find(std::string_view name) const;
  template <class T>
  static T typed(std::string_view name, const NodeValue& value) {
    if (!value.is<T>()) wrong_type(name);
    return value.as<T>();
  }
  [[noreturn]] static void wrong_type(std::string_view name);

  const NodeType& type_;
  Inputs inputs_;
  const About& about_;
  NodeServices& services_;
  CallWatch& watch_;
};

}  // namespace hearth::workflow
