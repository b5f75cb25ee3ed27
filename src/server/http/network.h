// Network: what the connections of one server share: options, routes, the event loop and who is connected. One thread,
// the network thread, runs `io`.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/asio.hpp>

#include "server/http/http_server.h"
#include "server/http/router.h"
#include "server/websocket/session.h"

namespace hearth::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

inline SteadyClock::duration seconds(double value) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(value));
}

class Connection;

/// Outlives the server object while an engine still holds a writer.
struct Network {
  Network(ServerOptions the_options, std::vector<Route> routes, RequestObserver the_observer)
      : options(std::move(the_options)), router(std::move(routes)), observer(std::move(the_observer)) {}

  const ServerOptions options;
  const Router router;
  const RequestObserver observer;
  asio::io_context io{1};
  asio::thread_pool* workers = nullptr;
  asio::thread_pool* room_keeper = nullptr;  // asks for the room of large bodies, one after the other
  bool is_loopback = true;

  // Network thread only.
  std::unordered_set<Connection*> connections;
  std::unordered_map<websocket::Session*, std::shared_ptr<websocket::Session>> sessions;
  bool is_draining = false;

  std::atomic<int> open{0};
  std::mutex mutex;
  std::condition_variable all_closed;
  bool takes_posts = true;  // under mutex; false once nobody runs `io` any more

  void count_closed() {
    std::lock_guard lock(mutex);
    if (--open == 0) all_closed.notify_all();
  }
  bool on_network_thread() { return io.get_executor().running_in_this_thread(); }

  template <class Work>
  void post(Work work) {
    std::lock_guard lock(mutex);
    if (takes_posts) asio::post(io, std::move(work));
  }
  template <class Work>
  void dispatch(Work work) {
    if (on_network_thread()) {
      work();
    } else {
      post(std::move(work));
    }
  }
};

}  // namespace hearth::http
