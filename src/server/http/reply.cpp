#include "server/http/reply.h"

#include <utility>

namespace hearth::http {
namespace {

class Reply final : public ResponseWriter {
 public:
  Reply(std::shared_ptr<ReplyTarget> target, uint64_t sequence, std::shared_ptr<AbortState> abort)
      : target_(std::move(target)), sequence_(sequence), abort_(std::move(abort)) {}
  ~Reply() override {
    // Not inline: this may be the network thread in the middle of the connection's own work.
    target_->post([target = target_, sequence = sequence_] { target->abandoned(sequence); });
  }

  void respond(HttpResponse response) override {
    target_->dispatch([target = target_, sequence = sequence_, response = std::move(response)]() mutable {
      target->answer(sequence, std::move(response));
    });
  }
  void start_stream(HttpResponse head) override {
    target_->dispatch([target = target_, sequence = sequence_, head = std::move(head)]() mutable {
      target->start_stream(sequence, std::move(head));
    });
  }
  void write(std::string text) override {
    target_->dispatch(
        [target = target_, sequence = sequence_, text = std::move(text)] { target->stream_text(sequence, text); });
  }
  void finish() override {
    target_->dispatch([target = target_, sequence = sequence_] { target->finish_stream(sequence); });
  }
  size_t unsent_bytes() const override { return target_->unsent_bytes(); }
  bool is_aborted() const override { return abort_->is_aborted; }
  void on_abort(std::function<void(AbortReason)> callback) override {
    target_->dispatch(
        [target = target_, sequence = sequence_, abort = abort_, callback = std::move(callback)]() mutable {
          if (abort->is_aborted) return callback(abort->reason);
          target->watch_abort(sequence, std::move(callback));
        });
  }
  void on_silence(std::function<void()> callback) override {
    target_->dispatch([target = target_, sequence = sequence_, callback = std::move(callback)]() mutable {
      target->watch_silence(sequence, std::move(callback));
    });
  }
  void post(std::function<void()> work) override { target_->post(std::move(work)); }

 private:
  const std::shared_ptr<ReplyTarget> target_;
  const uint64_t sequence_;
  const std::shared_ptr<AbortState> abort_;
};

}  // namespace

std::shared_ptr<ResponseWriter> make_reply(std::shared_ptr<ReplyTarget> target, uint64_t sequence,
                                           std::shared_ptr<AbortState> abort) {
  return std::make_shared<Reply>(std::move(target), sequence, std::move(abort));
}

}  // namespace hearth::http
