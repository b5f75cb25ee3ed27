// Who hears what: greetings, flags, owners, reconnects.
#include "server/websocket/client_hub.h"

#include <gtest/gtest.h>

#include "api/comfy/frames.h"
#include "formats/json/json.h"
#include "server/comfy_events.h"

namespace hearth::server {
namespace {

class FakeSocket final : public websocket::WebSocket {
 public:
  void send(websocket::Message message) override { heard.push_back(std::move(message)); }
  void close() override {}
  Value text(size_t i) const { return json::parse(*heard.at(i).bytes).value(); }
  std::string types() const {
    std::string out;
    for (const auto& message : heard) {
      if (!out.empty()) out += ' ';
      out += message.is_binary ? "binary" + std::to_string((*message.bytes)[3])
                               : json::parse(*message.bytes)->at("type").as_string();
    }
    return out;
  }
  std::vector<websocket::Message> heard;
};

class ClientHubTest : public testing::Test {
 protected:
  websocket::Listener admit(const std::string& query, std::shared_ptr<FakeSocket> socket) {
    http::HttpRequest request;
    request.query = query;
    return hub_.admit(request, std::move(socket));
  }
  ClientHub hub_{Value::object({{"assets", false}})};
};

TEST_F(ClientHubTest, GreetsWithStatusAndSid) {
  hub_.set_remaining(3);
  auto named = std::make_shared<FakeSocket>(), unnamed = std::make_shared<FakeSocket>();
  admit("clientId=me", named);
  admit("", unnamed);
  EXPECT_EQ(json::write(named->text(0)),
            R"({"type":"status","data":{"status":{"exec_info":{"queue_remaining":3}},"sid":"me"}})");
  EXPECT_EQ(unnamed->text(0).at("data").at("sid").as_string().size(), 32u);
}

TEST_F(ClientHubTest, OnlyTheFirstMessageNamesFlags) {
  auto socket = std::make_shared<FakeSocket>(), late = std::make_shared<FakeSocket>();
  auto listener = admit("clientId=me", socket), late_listener = admit("clientId=late", late);
  const char* flags = R"({"type":"feature_flags","data":{"supports_preview_metadata":true}})";
  listener.on_text(flags);
  EXPECT_TRUE(hub_.takes_preview_metadata("me"));
  EXPECT_EQ(json::write(socket->text(1)), R"({"type":"feature_flags","data":{"assets":false}})");
  late_listener.on_text("not json");
  late_listener.on_text(flags);
  EXPECT_FALSE(hub_.takes_preview_metadata("late"));
  EXPECT_EQ(late->heard.size(), 1u);
}

TEST_F(ClientHubTest, ANewSocketOfAClientTakesItsPlace) {
  auto old = std::make_shared<FakeSocket>(), now = std::make_shared<FakeSocket>();
  auto old_listener = admit("clientId=me", old);
  hub_.set_running("me", "7");
  admit("clientId=me", now);
  EXPECT_EQ(json::write(now->text(1)), R"({"type":"executing","data":{"node":"7"}})");
  old_listener.on_close();  // must not take the new one away
  hub_.send("me", websocket::text_message("{}"));
  EXPECT_EQ(old->heard.size(), 1u);
  EXPECT_EQ(now->heard.size(), 3u);
}

TEST_F(ClientHubTest, SilenceIsFilledWithStatusAndGoneClientsAreForgotten) {
  auto socket = std::make_shared<FakeSocket>();
  auto listener = admit("clientId=me", socket);
  listener.on_silence();
  EXPECT_EQ(socket->types(), "status status");
  EXPECT_EQ(socket->text(1).at("data").find("sid"), nullptr);
  listener.on_close();
  EXPECT_EQ(hub_.clients(), 0u);
}

TEST_F(ClientHubTest, PreviewsGoOutAsTheOwnerTakesThem) {
  LogRing logs([](const Value&) {});
  ComfyEvents events(hub_, logs);
  auto plain = std::make_shared<FakeSocket>(), modern = std::make_shared<FakeSocket>();
  admit("clientId=plain", plain);
  admit("clientId=modern", modern).on_text(R"({"type":"feature_flags","data":{"supports_preview_metadata":true}})");
  const workflow::PreviewImage preview{"image/jpeg", "JPEG", Value::object({{"node_id", "3"}})};
  const workflow::Step step{Value::object(), Value::object(), &preview};
  for (const char* client : {"plain", "modern"}) {
    RunningJob job{.id = "x", .client_id = client};
    if (client == std::string_view("plain")) job.extra_data = Value::object({{"preview_method", "auto"}});
    events.job_begins(job).send_step(step);
    events.job_ended(job);
  }
  EXPECT_EQ(plain->types(), "status progress_state progress binary1 executing");
  EXPECT_EQ(modern->types(), "status feature_flags progress_state binary4 progress executing");
  EXPECT_EQ(*plain->heard[3].bytes, std::string("\0\0\0\1\0\0\0\1JPEG", 12));
  EXPECT_EQ(*modern->heard[3].bytes, std::string("\0\0\0\4\0\0\0\x0f{\"node_id\":\"3\"}JPEG", 27));
  EXPECT_TRUE(plain->heard[3].may_be_lost);
}

// Clients that gather binary frames as results must not find previews among them.
TEST_F(ClientHubTest, PlainClientsGetPreviewsOnlyWhenTheyAsk) {
  LogRing logs([](const Value&) {});
  ComfyEvents events(hub_, logs);
  auto socket = std::make_shared<FakeSocket>();
  admit("clientId=plain", socket);
  const workflow::PreviewImage preview{"image/jpeg", "JPEG", Value::object()},
      picture{"image/png", "PNG", Value::object()};
  for (const char* method : {"", "default", "none"}) {
    RunningJob job{.id = "x", .client_id = "plain", .extra_data = Value::object({{"preview_method", method}})};
    events.job_begins(job).send_step({Value::object(), Value::object(), &preview});
  }
  RunningJob job{.id = "x", .client_id = "plain"};
  events.job_begins(job).send_step({Value::object(), Value::object(), &preview});
  EXPECT_EQ(socket->types().find("binary"), std::string::npos) << socket->types();
  events.job_begins(job).send_step({Value::object(), Value::object(), &picture});
  EXPECT_TRUE(socket->types().ends_with("progress_state progress binary1")) << socket->types();
}

TEST_F(ClientHubTest, WithoutAnOwnerOnlyInterruptionsAreForAll) {
  LogRing logs([](const Value&) {});
  ComfyEvents events(hub_, logs);
  auto socket = std::make_shared<FakeSocket>();
  admit("clientId=me", socket);
  RunningJob job{.id = "x"};
  events.job_begins(job);
  events.send("execution_start", Value::object());
  events.send("execution_interrupted", Value::object());
  events.job_ended(job);
  EXPECT_EQ(socket->types(), "status execution_interrupted");
}

}  // namespace
}  // namespace hearth::server
