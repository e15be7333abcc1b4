// Credentials and in-memory pairs that the DTLS tests of this room share.
#pragma once

#include <gtest/gtest.h>

#include <chrono>

#include "adapters/net/dtls_admission.h"
#include "adapters/net/dtls_channel.h"
#include "tests/support/dtls_pair.h"
#include "tests/support/test_pki.h"

namespace dots::adapters::net {

using namespace std::chrono_literals;
using test::DtlsPair;
using test::TestPki;
using Kind = ports::Admission::Verdict::Kind;

inline base::WallTime wall_now() { return base::WallTime{std::chrono::system_clock::now().time_since_epoch()}; }

inline const DtlsOptions kFast{.path_mtu_bytes = 1280, .pace = {.repeat_after = 20ms}, .handshake_time = 3s};
inline const base::Bytes kKey = *base::from_hex("000102030405060708090a0b0c0d0e0f");

inline std::shared_ptr<const Credentials> load(const CredentialSources& sources, Side side) {
  auto result = Credentials::load(sources, side, wall_now());
  if (!result) throw std::runtime_error{to_string(result.error().front())};
  return *result;
}

class Dtls : public ::testing::Test {
 protected:
  static TestPki& pki() {
    static TestPki instance;
    return instance;
  }
  static CredentialSources sources(const test::IssuedCertificate& own, const TestPki& trusted = pki()) {
    return {.ca_file = trusted.ca_file(),
            .crl_file = "",
            .certificate_file = own.certificate_file,
            .key_file = own.key_file,
            .psk = {}};
  }
  static const test::IssuedCertificate& server_certificate() {
    static const auto issued = pki().issue({.name = "server", .common_name = "ignored", .dns = {"server.example"}});
    return issued;
  }
  static const test::IssuedCertificate& client_certificate() {
    static const auto issued = pki().issue({.name = "client",
                                            .common_name = "client-cn",
                                            .dns = {"Client.Example"},
                                            .uris = {"dots://client.example"},
                                            .emails = {"noc@client.example"}});
    return issued;
  }
  static CredentialSources server_sources() {
    CredentialSources all = sources(server_certificate());
    all.psk = {{"home", kKey}, {"other", base::Bytes(16, 9)}};
    return all;
  }
  static std::shared_ptr<const Credentials> server_credentials() {
    static const auto loaded = load(server_sources(), Side::server);
    return loaded;
  }
  static std::shared_ptr<const Credentials> client_credentials() {
    static const auto loaded = load(sources(client_certificate()), Side::client);
    return loaded;
  }
  static std::shared_ptr<const Credentials> psk_client(const std::string& identity, const base::Bytes& key) {
    return load({.ca_file = "", .crl_file = "", .certificate_file = "", .key_file = "", .psk = {{identity, key}}},
                Side::client);
  }

  // Runs a handshake to its end.
  std::unique_ptr<DtlsPair> pair(const std::shared_ptr<const Credentials>& client,
                                 const std::string& name = "server.example", const DtlsPair::Filter& filter = {},
                                 const DtlsOptions& options = kFast) {
    auto out = std::make_unique<DtlsPair>(admission_, wall_now());
    DtlsConnector connector{client, options};
    out->connect(connector, name);
    out->run(filter);
    return out;
  }
  // The server refuses the client's certificate, and says why.
  void expect_refused(const CredentialSources& client, const std::string& why,
                      const CredentialSources* server = nullptr) {
    if (server != nullptr) admission_.replace_credentials(load(*server, Side::server));
    const auto p = pair(load(client, Side::client));
    EXPECT_FALSE(p->server.opened);
    EXPECT_TRUE(p->server.closed);
    EXPECT_NE(p->server.reason.find(why), std::string::npos) << p->server.reason;
    EXPECT_TRUE(p->client.closed) << "the client is told by an alert";
    EXPECT_NE(p->client.reason.find("alert"), std::string::npos) << p->client.reason;
  }
  void expect_server_refused(const CredentialSources& server, const std::string& name, const std::string& why) {
    admission_.replace_credentials(load(server, Side::server));
    const auto p = pair(client_credentials(), name);
    EXPECT_FALSE(p->client.opened);
    EXPECT_TRUE(p->client.closed);
    EXPECT_NE(p->client.reason.find(why), std::string::npos) << p->client.reason;
    EXPECT_FALSE(p->server.opened);
  }

  DtlsAdmission admission_{server_credentials(), kFast};
};

}  // namespace dots::adapters::net
