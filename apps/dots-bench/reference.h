// What the machine and the TLS library give without any DOTS: a bare UDP echo and a bare DTLS echo, each a process of
// its own. They do what cannot be left out and nothing else: many datagrams in one call, no allocation for each, one
// thread.
//
// The answer is cut or filled to the size that the request asks for, so that datagrams of both directions are as large
// as those of dotsd. A request is 0xff and two bytes of answer size (most significant first) behind the first eight
// bytes, which come back.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/time.h"

namespace dots::bench {

inline constexpr std::size_t kEchoHead = 8;
inline constexpr std::size_t kEchoLeast = kEchoHead + 3;
inline constexpr std::size_t kEchoMost = 1400;

// How large the answer is to be; 0: not one of our requests.
inline std::size_t echo_answer_bytes(base::ByteView request) {
  if (request.size() < kEchoLeast || request[kEchoHead] != 0xff) return 0;
  const std::size_t wanted = static_cast<std::size_t>(request[kEchoHead + 1]) << 8 | request[kEchoHead + 2];
  return wanted < kEchoHead || wanted > kEchoMost ? 0 : wanted;
}

// Print "PORT\n" on standard output when they are ready and run until SIGTERM. Return an exit code.
int run_udp_echo();
// `folder` holds pki/ and psk.txt as dotsctl init makes them. Resumes sessions by tickets, answers hellos without a
// cookie with one and keeps nothing of them. With a period it also sends a heartbeat of DOTS to each session so often.
int run_dtls_echo(const std::string& folder, base::Duration heartbeat_period);
// The same credentials over TLS as the data channel speaks it. A request says with the field kAnswerBytes how large the
// body of its answer is to be.
int run_https(const std::string& folder);
inline constexpr const char* kAnswerBytes = "Answer-Bytes";

}  // namespace dots::bench
