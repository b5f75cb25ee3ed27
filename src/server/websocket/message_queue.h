// MessageQueue: what waits for one client, and what a slow one loses. Previews go first: when more than
// kPreviewBacklogBytes waits, the newest takes the place of all others, if there is room for it at all. One thread.
#pragma once
#include <cstddef>
#include <deque>

#include "server/websocket/websocket.h"

namespace hearth::websocket {

class MessageQueue {
 public:
  static constexpr size_t kPreviewBacklogBytes = 1 << 20;
  explicit MessageQueue(size_t limit_bytes) : limit_(limit_bytes) {}

  /// False when the client is hopelessly behind: more than the limit waits and none of it may be lost.
  bool add(Message message);
  /// The message to write next, which stays first until taken(); null when nothing waits.
  const Message* next();
  void taken();
  size_t bytes() const { return bytes_; }
  size_t size() const { return messages_.size(); }

 private:
  void lose_previews();

  const size_t limit_;
  std::deque<Message> messages_;
  bool is_writing_ = false;  // the first one is on its way and must stay
  size_t bytes_ = 0;
};

}  // namespace hearth::websocket
