#include "api/openai/request.h"

#include <algorithm>

#include "api/openai/draft.h"
#include "formats/json/json.h"

namespace hearth::openai {
namespace {

// Real chats nest a dozen levels (tool schemas the deepest); every deeper level costs stack in the template engine.
constexpr int kMaxDepth = 64;

std::vector<DraftField> joined(std::span<const DraftField> own) {
  std::vector<DraftField> all(own.begin(), own.end());
  all.insert(all.end(), shared_fields().begin(), shared_fields().end());
  return all;
}

const std::vector<DraftField>& table_of(Endpoint endpoint) {
  static const std::vector<DraftField> chat = joined(chat_fields());
  static const std::vector<DraftField> completion = joined(completion_fields());
  return endpoint == Endpoint::kChat ? chat : completion;
}

}  // namespace

Result<CompletionCall> parse_chat(const Value& body, api::ParseNotes& notes) {
  Draft draft;
  draft.call.generate.prompt = ChatPrompt{};
  auto read = api::read_fields(std::span(table_of(Endpoint::kChat)), body, draft, notes);
  if (!read) return unexpected(read.error());
  return finish_chat(std::move(draft), notes);
}

Result<CompletionCall> parse_completion(const Value& body, api::ParseNotes& notes) {
  Draft draft;
  auto read = api::read_fields(std::span(table_of(Endpoint::kCompletion)), body, draft, notes);
  if (!read) return unexpected(read.error());
  return finish_completion(std::move(draft), notes);
}

Result<CompletionCall> parse_body(Endpoint endpoint, std::string_view text, api::ParseNotes& notes) {
  auto body = json::parse(text, {.max_depth = kMaxDepth});
  if (!body) return unexpected(body.error().within("the body"));
  return endpoint == Endpoint::kChat ? parse_chat(*body, notes) : parse_completion(*body, notes);
}

std::string render_fields(Endpoint endpoint) {
  std::vector<api::FieldInfo> rows;
  for (const DraftField& field : table_of(endpoint)) rows.push_back(field.info);
  return api::render_markdown(rows);
}

}  // namespace hearth::openai
