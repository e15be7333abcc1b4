// The way back of an answer: from any thread to the thread of the server, exactly once. Not for other rooms.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "adapters/net/event_loop.h"
#include "ports/http.h"

namespace dots::adapters::http {

// Open while the server is there. What is posted arrives even when the queue of the loop is full: it waits here, at
// most one answer and one turn for each connection. Threads: any; drain() is the loop's.
class Mailbox {
 public:
  explicit Mailbox(net::EventLoop& loop) : loop_(&loop) {}
  void close() {
    const std::lock_guard lock{mutex_};
    loop_ = nullptr;
  }
  void post(net::Task task) {
    const std::lock_guard lock{mutex_};
    if (loop_ == nullptr) return;
    waiting_.push_back(std::move(task));
    if (!called_) called_ = loop_->post([this] { drain(); }, net::Priority::reserved);
  }
  // Also after each round, for what came when the queue was full.
  void drain() {
    std::vector<net::Task> tasks;
    {
      const std::lock_guard lock{mutex_};
      tasks.swap(waiting_);
      called_ = false;
    }
    for (net::Task& task : tasks) task();
  }

 private:
  std::mutex mutex_;  // guards what follows
  net::EventLoop* loop_;
  std::vector<net::Task> waiting_;
  bool called_ = false;  // a drain() is in the queue
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
