#include "apps/runtime/stream_admission_thread.h"

#include <utility>

namespace dots::runtime {

StreamAdmissionThread::StreamAdmissionThread(std::shared_ptr<ports::ChannelAcceptor> acceptor,
                                             const agent::AdmissionLimits& limits, OnAdmitted admitted,
                                             ops::facts::Sink& sink)
    : table_(std::move(acceptor), limits),
      admitted_(std::move(admitted)),
      sink_(sink),
      handshakes_(sink, "dots_tls_handshakes_total") {
  // Effects of each event at once: after a handshake not one byte more may be read on this thread.
  loop_.set_handlers({
      [this](std::span<model::Datagram> pieces) {
        for (const auto& piece : pieces) table_.on_bytes(piece.path, piece.bytes, out_);
        perform();
      },
      [this] {
        table_.on_timer(loop_.now(), out_);
        perform();
      },
      [this] { loop_.set_deadline(table_.next_deadline()); },
      [this](const model::Path& path, const std::string& reason) {
        table_.on_ended(path, reason, out_);
        perform();
      },
      [this](adapters::net::TcpStream stream) {
        const model::Path path = stream.path();
        loop_.add_stream(std::move(stream));
        table_.on_accepted(path, loop_.now(), out_);
        perform();
      },
  });
}

StreamAdmissionThread::~StreamAdmissionThread() { stop(); }

void StreamAdmissionThread::add_listener(adapters::net::TcpListener listener) {
  loop_.add_listener(std::move(listener));
}

void StreamAdmissionThread::start() {
  thread_ = std::thread([this] { loop_.run(); });
}

void StreamAdmissionThread::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

bool StreamAdmissionThread::post(std::function<void()> step) { return loop_.post(std::move(step)); }

void StreamAdmissionThread::perform() {
  agent::StreamAdmissionEffects out = std::exchange(out_, {});
  if (!out.send.empty()) loop_.send(out.send);
  for (auto& admitted : out.admitted) {
    auto stream = loop_.remove_stream(admitted.path);
    if (stream) admitted_(std::move(admitted), std::move(*stream));
  }
  for (const auto& path : out.close) loop_.close_stream(path);
  for (const auto& path : out.drop) loop_.remove_stream(path);
  for (const auto& refusal : out.refusals) sink_.message("HANDSHAKE_REFUSED", refusal);
  handshakes_.add(out.counters);
}

}  // namespace dots::runtime
