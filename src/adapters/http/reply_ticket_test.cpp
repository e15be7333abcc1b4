#include "adapters/http/reply_ticket.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace dots::adapters::http {
namespace {

// An answer that meets a full queue arrives with the next round.
TEST(Mailbox, LosesNothingWhenTheQueueIsFull) {
  net::EventLoop loop{{.tasks = 2, .reserved_tasks = 1}};
  Mailbox mailbox{loop};
  std::atomic<int> arrived{0};
  net::EventLoop::Handlers handlers;
  handlers.on_datagrams = [](auto) {};
  handlers.on_deadline = [] {};
  handlers.after_round = [&] {
    mailbox.drain();
    if (arrived == 3) loop.stop();
  };
  loop.set_handlers(std::move(handlers));
  while (loop.post([] {}, net::Priority::reserved)) {
  }
  for (int i = 0; i < 3; ++i) mailbox.post([&] { ++arrived; });
  loop.run();
  EXPECT_EQ(arrived, 3);
  mailbox.close();
  mailbox.post([&] { ++arrived; });
  mailbox.drain();
  EXPECT_EQ(arrived, 3) << "closed";
}

}  // namespace
}  // namespace dots::adapters::http
