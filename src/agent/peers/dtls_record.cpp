#include "agent/peers/dtls_record.h"

namespace dots::agent {
namespace {

constexpr std::size_t kHandshakeHeaderBytes = 12;
constexpr std::uint8_t kClientHello = 1;

std::uint16_t u16(base::ByteView bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

}  // namespace

std::optional<RecordHeader> first_record(base::ByteView datagram) {
  if (datagram.size() < kRecordHeaderBytes) return std::nullopt;
  const RecordHeader header{datagram[0], u16(datagram, 3), u16(datagram, 11)};
  if (header.type < kChangeCipherSpec || header.type > 63 || datagram[1] != 0xfe) return std::nullopt;
  if (header.length > datagram.size() - kRecordHeaderBytes) return std::nullopt;
  return header;
}

bool carries_protected_record(base::ByteView datagram) {
  while (const auto record = first_record(datagram)) {
    if (record->epoch != 0) return true;
    datagram = datagram.subspan(kRecordHeaderBytes + record->length);
  }
  return false;
}

std::optional<base::ByteView> client_random(base::ByteView datagram) {
  const auto record = first_record(datagram);
  if (!record || record->type != kHandshake || record->epoch != 0) return std::nullopt;
  const base::ByteView message = datagram.subspan(kRecordHeaderBytes, record->length);
  if (message.size() < kHandshakeHeaderBytes + 34 || message[0] != kClientHello) return std::nullopt;
  if (message[6] != 0 || message[7] != 0 || message[8] != 0) return std::nullopt;
  return message.subspan(kHandshakeHeaderBytes + 2, 32);
}

}  // namespace dots::agent
