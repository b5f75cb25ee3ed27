#include "server/websocket/message_queue.h"

#include <algorithm>
#include <utility>

namespace hearth::websocket {

void MessageQueue::lose_previews() {
  auto begin = messages_.begin() + (is_writing_ ? 1 : 0);
  auto kept = std::remove_if(begin, messages_.end(), [&](const Message& message) {
    if (message.may_be_lost) bytes_ -= message.bytes->size();
    return message.may_be_lost;
  });
  messages_.erase(kept, messages_.end());
}

bool MessageQueue::add(Message message) {
  const size_t size = message.bytes->size();
  const size_t preview_limit = std::min(kPreviewBacklogBytes, limit_);
  if (message.may_be_lost && bytes_ + size > preview_limit) {
    lose_previews();
    if (bytes_ + size > preview_limit) return true;
  }
  bytes_ += size;
  messages_.push_back(std::move(message));
  if (bytes_ > limit_) lose_previews();
  return bytes_ <= limit_;
}

const Message* MessageQueue::next() {
  if (messages_.empty()) return nullptr;
  is_writing_ = true;
  return &messages_.front();
}

void MessageQueue::taken() {
  bytes_ -= messages_.front().bytes->size();
  messages_.pop_front();
  is_writing_ = false;
}

}  // namespace hearth::websocket
