#include "apps/runtime/admission_thread.h"

#include <utility>

namespace dots::runtime {

AdmissionThread::AdmissionThread(std::shared_ptr<ports::Admission> admission, const agent::AdmissionLimits& limits,
                                 std::function<void(agent::Admitted)> admitted,
                                 std::function<void(model::Datagram)> forward, ops::facts::Sink& sink)
    : table_(std::move(admission), limits),
      admitted_(std::move(admitted)),
      forward_(std::move(forward)),
      sink_(sink),
      handshakes_(sink, "dots_handshakes_total") {
  loop_.set_handlers({
      [this](std::span<model::Datagram> datagrams) {
        const base::Now now = loop_.now();
        for (const auto& datagram : datagrams) table_.on_datagram(datagram, now, round_);
      },
      [this] { table_.on_timer(loop_.now(), round_); },
      [this] { finish_round(); },
  });
}

AdmissionThread::~AdmissionThread() { stop(); }

void AdmissionThread::add_socket(adapters::net::UdpSocket socket) { loop_.add_socket(std::move(socket)); }

void AdmissionThread::start() {
  thread_ = std::thread([this] { loop_.run(); });
}

void AdmissionThread::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

bool AdmissionThread::post(std::function<void()> step) {
  return loop_.post(std::move(step), adapters::net::Priority::reserved);
}

void AdmissionThread::finish_round() {
  agent::AdmissionEffects out = std::exchange(round_, {});
  if (!out.send.empty()) loop_.send(out.send);
  for (auto& admitted : out.admitted) admitted_(std::move(admitted));
  for (auto& datagram : out.forward) forward_(std::move(datagram));
  for (const auto& refusal : out.refusals) sink_.message("HANDSHAKE_REFUSED", refusal);
  handshakes_.add(out.counters);
  loop_.set_deadline(table_.next_deadline());
}

}  // namespace dots::runtime
