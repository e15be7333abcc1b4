// The way back of an answer: from any thread to the thread of the server, exactly once. Not for other rooms.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "adapters/net/event_loop.h"
#include "ports/http.h"

namespace dots::adapters::http {

// Open while the server is there. Threads: any.
class Mailbox {
 public:
  explicit Mailbox(net::EventLoop& loop) : loop_(&loop) {}
  void close() {
    const std::lock_guard lock{mutex_};
    loop_ = nullptr;
  }
  void post(net::Task task) {
    const std::lock_guard lock{mutex_};
    // One answer for each connection at most, and there are fewer connections than places in the queue.
    if (loop_ != nullptr) loop_->post(std::move(task), net::Priority::reserved);
  }

 private:
  std::mutex mutex_;  // guards loop_
  net::EventLoop* loop_;
};

class ReplyTicket {
 public:
  using Deliver = std::function<void(ports::HttpAnswer)>;  // on the server's thread
  ReplyTicket(std::shared_ptr<Mailbox> mailbox, Deliver deliver, ports::HttpAnswer forgotten)
      : mailbox_(std::move(mailbox)), deliver_(std::move(deliver)), forgotten_(std::move(forgotten)) {}
  ReplyTicket(const ReplyTicket&) = delete;
  ReplyTicket& operator=(const ReplyTicket&) = delete;
  // Nobody answered, and nobody will.
  ~ReplyTicket() { give(std::move(forgotten_)); }

  void give(ports::HttpAnswer answer) {
    if (given_.exchange(true)) return;
    mailbox_->post(
        [deliver = std::move(deliver_), answer = std::move(answer)]() mutable { deliver(std::move(answer)); });
  }

 private:
  std::shared_ptr<Mailbox> mailbox_;
  Deliver deliver_;
  ports::HttpAnswer forgotten_;
  std::atomic<bool> given_{false};
};

}  // namespace dots::adapters::http
