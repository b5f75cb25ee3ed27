#include "text/clip/prompt.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"
#include "text/clip/vocabulary.h"
#include "text/clip/weights.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

constexpr std::string_view kMark = "embedding:";
constexpr size_t kLongWord = 8;  // tokens; a longer stretch may be split over chunks

bool ends_in_space(std::string_view text) {
  size_t at = text.size();
  while (at > 0 && (text[at - 1] & 0xC0) == 0x80) --at;
  if (at == 0) return false;
  CodePoint last = first_code_point(text.substr(at - 1));
  return last.bytes > 0 && is_python_space(last.value);
}

// Cuts before every mark that stands behind white space; empty pieces are left out.
std::vector<std::string_view> cut_at_marks(std::string_view text) {
  std::vector<std::string_view> pieces;
  size_t begin = 0;
  auto cut = [&](size_t end) {
    if (end > begin) pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  };
  for (size_t at = text.find(kMark); at != text.npos; at = text.find(kMark, at + kMark.size())) {
    if (ends_in_space(text.substr(0, at))) cut(at);
  }
  cut(text.size());
  return pieces;
}

std::vector<std::string_view> python_split(std::string_view text) {
  std::vector<std::string_view> words;
  size_t begin = 0, at = 0;
  while (at < text.size()) {
    CodePoint c = first_code_point(text.substr(at));
    size_t bytes = std::max<size_t>(c.bytes, 1);
    if (c.bytes > 0 && is_python_space(c.value)) {
      if (at > begin) words.push_back(text.substr(begin, at - begin));
      begin = at + bytes;
    }
    at += bytes;
  }
  if (at > begin) words.push_back(text.substr(begin));
  return words;
}

std::string_view strip(std::string_view text, char what) {
  while (text.starts_with(what)) text.remove_prefix(1);
  while (text.ends_with(what)) text.remove_suffix(1);
  return text;
}

// Turns stretches of text into groups of tokens that stay together.
class Reader {
 public:
  Reader(const PromptOptions& options, PromptTokens& out) : options_(options), out_(out) {}

  std::vector<std::vector<PromptToken>> groups;

  void read(const WeightedText& stretch) {
    for (std::string_view piece : cut_at_marks(stretch.text)) {
      if (piece.starts_with(kMark) && options_.rows) {
        std::string rest = read_embedding(strip(piece.substr(kMark.size()), '\n'), stretch.weight);
        if (!rest.empty()) read_text(rest, stretch.weight);
      } else {
        read_text(piece, stretch.weight);
      }
    }
  }

 private:
  void read_text(std::string_view text, double weight) {
    std::vector<PromptToken>& group = groups.emplace_back();
    for (int32_t id : clip_tokenizer().encode(text, {.add_special = false, .parse_special = true})) {
      group.push_back({.id = id, .weight = weight});
    }
  }

  bool add_rows(std::string_view name, double weight) {
    std::optional<int> rows = options_.rows(name);
    if (!rows) return false;
    auto known = std::find(out_.embeddings.begin(), out_.embeddings.end(), name);
    auto index = static_cast<int32_t>(known - out_.embeddings.begin());
    if (known == out_.embeddings.end()) out_.embeddings.emplace_back(name);
    std::vector<PromptToken>& group = groups.emplace_back();
    for (int row = 0; row < *rows; ++row) group.push_back({.embedding = index, .row = row, .weight = weight});
    return true;
  }

  // Adds the embedding a piece begins with; returns the text behind its name.
  std::string read_embedding(std::string_view piece, double weight) {
    std::vector<std::string_view> words = python_split(piece);
    std::string rest;
    for (size_t i = 1; i < words.size(); ++i) rest.append(i > 1 ? " " : "").append(words[i]);
    std::string_view name = words.empty() ? "" : words[0];
    if (size_t end = name.find_first_of("<["); end != name.npos) {
      rest = std::string(name.substr(end)) + (rest.empty() ? "" : " " + rest);
      name = name.substr(0, end);
    }
    if (add_rows(name, weight)) return rest;
    std::string_view bare = strip(name, ',');
    bool has_commas = bare.size() < name.size();
    if (!has_commas || !add_rows(bare, weight)) out_.missing.emplace_back(name);
    return has_commas ? std::string(name.substr(bare.size())) + " " + rest : rest;
  }

  const PromptOptions& options_;
  PromptTokens& out_;
};

// Lays groups into chunks of start, up to 75 tokens, end, padding.
class Layout {
 public:
  Layout(int32_t pad, std::vector<std::vector<PromptToken>>& chunks) : pad_(pad), chunks_(chunks) { open(); }

  void add(const std::vector<PromptToken>& group, int32_t word) {
    bool may_split = group.size() >= kLongWord;
    for (size_t done = 0; done < group.size();) {
      size_t room = kClipChunk - 1 - chunk().size(), left = group.size() - done;
      size_t taken = left <= room ? left : may_split ? room : 0;
      for (size_t i = done; i < done + taken; ++i) {
        chunk().push_back(group[i]);
        chunk().back().word = word;
      }
      done += taken;
      if (left > room) {
        close();
        open();
      }
    }
  }

  void close() {
    chunk().push_back({.id = kClipEnd});
    chunk().resize(kClipChunk, PromptToken{.id = pad_});
  }

 private:
  std::vector<PromptToken>& chunk() { return chunks_.back(); }
  void open() {
    chunks_.emplace_back().reserve(kClipChunk);
    chunk().push_back({.id = kClipStart});
  }

  int32_t pad_;
  std::vector<std::vector<PromptToken>>& chunks_;
};

}  // namespace

PromptTokens tokenize_prompt(std::string_view prompt, const PromptOptions& options) {
  if (prompt.size() > kMaxPromptBytes) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a prompt of {}, expected at most {}", format_bytes(static_cast<int64_t>(prompt.size())),
                            format_bytes(static_cast<int64_t>(kMaxPromptBytes))));
  }
  PromptTokens out;
  Reader reader(options, out);
  for (const WeightedText& stretch : split_weights(prompt)) reader.read(stretch);
  Layout layout(options.pad, out.chunks);
  int32_t word = 0;
  for (const std::vector<PromptToken>& group : reader.groups) layout.add(group, ++word);
  layout.close();
  return out;
}

}  // namespace hearth::text
