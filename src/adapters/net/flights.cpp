#include "adapters/net/flights.h"

namespace dots::adapters::net {
namespace {

constexpr std::uint8_t kHandshake = 22;
constexpr std::size_t kMessageSequence = 13 + 4;  // record header, type and length of the message

}  // namespace

bool FlightGate::lets_out(base::ByteView record, base::SteadyTime now) {
  if (in_flight_) return open_;
  in_flight_ = true;
  // Flights begin with a message in the clear or, at the end of a handshake, with ChangeCipherSpec.
  const bool message = record[0] == kHandshake && record.size() > kMessageSequence + 1;
  const std::uint32_t begins_with =
      message ? static_cast<std::uint32_t>(record[kMessageSequence] << 8 | record[kMessageSequence + 1])
              : kChangeCipherSpec;
  if (flight_ != begins_with) {
    flight_ = begins_with;
    sent_ = 0;
    open_ = true;
  } else {
    open_ = now >= (answering_ ? left_ + pace_.repeat_after / 4 : due_);
  }
  if (!open_) return false;
  left_ = now;
  due_ = now + pace_.after(sent_++);
  return true;
}

}  // namespace dots::adapters::net
