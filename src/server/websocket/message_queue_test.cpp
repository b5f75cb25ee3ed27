// What a slow WebSocket client loses, and when it is given up.
#include "server/websocket/message_queue.h"

#include <gtest/gtest.h>

namespace hearth::websocket {
namespace {

Message preview(size_t bytes) { return binary_message(std::string(bytes, 'p'), true); }
Message picture(size_t bytes) { return binary_message(std::string(bytes, 'i'), false); }

TEST(MessageQueue, KeepsTheOrderOfWhatMustArrive) {
  MessageQueue queue(1000);
  EXPECT_EQ(queue.next(), nullptr);
  EXPECT_TRUE(queue.add(text_message("a")));
  EXPECT_TRUE(queue.add(text_message("bc")));
  EXPECT_EQ(queue.bytes(), 3u);
  EXPECT_EQ(*queue.next()->bytes, "a");
  queue.taken();
  EXPECT_EQ(*queue.next()->bytes, "bc");
  queue.taken();
  EXPECT_EQ(queue.next(), nullptr);
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(MessageQueue, OnlyTheNewestPreviewWaitsForASlowClient) {
  MessageQueue queue(100);
  queue.add(preview(40));
  ASSERT_NE(queue.next(), nullptr);  // on its way: it stays
  queue.add(preview(20));
  queue.add(text_message("between"));
  queue.add(preview(30));  // all fit
  EXPECT_EQ(queue.size(), 4u);
  queue.add(preview(35));  // one too many: the newest is the one to keep
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.bytes(), 40u + 7 + 35);
  queue.taken();
  EXPECT_EQ(*queue.next()->bytes, "between");
  queue.taken();
  EXPECT_EQ(queue.next()->bytes->size(), 35u);
}

TEST(MessageQueue, PreviewsGoBeforeTheClientDoes) {
  MessageQueue queue(100);
  EXPECT_TRUE(queue.add(preview(60)));
  EXPECT_TRUE(queue.add(picture(80)));  // the preview makes room
  EXPECT_EQ(queue.bytes(), 80u);
  EXPECT_TRUE(queue.add(preview(60)));  // not taken on
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_FALSE(queue.add(text_message(std::string(21, 't'))));
}

}  // namespace
}  // namespace hearth::websocket
