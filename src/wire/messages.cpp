#include "wire/messages.h"

#include <utility>

#include "model/mitigation_document.h"
#include "model/session_config_document.h"
#include "wire/cbor.h"

namespace dots::wire {
namespace {

using model::Document;
using model::Key;
using model::Manner;
using model::Message;

BodyFailure bad_request(const base::Error& error) { return {model::ResponseCode::bad_request, error.message}; }

}  // namespace

BodyResult<model::MitigationRequest> decode_mitigation_request(base::ByteView cbor, FilterControl filter_control) {
  const bool acls = filter_control == FilterControl::on;
  const auto document =
      decode_cbor(cbor, acls ? Message::filter_control_request : Message::mitigation_request, Manner::strict);
  if (!document) return bad_request(document.error());
  auto request = model::to_mitigation_request(*document);
  if (!request) return bad_request(request.error());
  return std::move(*request);
}

BodyResult<Heartbeat> decode_heartbeat(base::ByteView cbor) {
  const auto document = decode_cbor(cbor, Message::heartbeat, Manner::strict);
  if (!document) return bad_request(document.error());
  const auto container = document->member(Document::kRoot, Key::heartbeat);
  return Heartbeat{(*document)[document->member(container, Key::peer_hb_status)].number != 0};
}

BodyResult<model::ParameterSets> decode_session_config_request(base::ByteView cbor) {
  const auto document = decode_cbor(cbor, Message::config_request, Manner::strict);
  if (!document) return bad_request(document.error());
  auto sets = model::to_session_config_request(*document);
  if (!sets) return bad_request(sets.error());
  return std::move(*sets);
}

BodyResult<model::SessionConfig> decode_session_config(base::ByteView cbor) {
  const auto document = decode_cbor(cbor, Message::config_answer, Manner::tolerant, kAnswerLimits);
  if (!document) return bad_request(document.error());
  return model::to_session_config(*document);
}

BodyResult<std::vector<model::MitigationEntry>> decode_mitigation_answer(base::ByteView cbor) {
  // The status message is the widest of the answers; what a 2.01 or 4.09 leaves out is not missed here.
  const auto document = decode_cbor(cbor, Message::mitigation_get_answer, Manner::tolerant, kAnswerLimits);
  if (!document) return bad_request(document.error());
  auto entries = model::to_mitigation_entries(*document);
  if (!entries) return bad_request(entries.error());
  return std::move(*entries);
}

BodyResult<model::RedirectedSignal> decode_redirected_signal(base::ByteView cbor) {
  const auto document = decode_cbor(cbor, Message::redirect, Manner::tolerant, kAnswerLimits);
  if (!document) return bad_request(document.error());
  const auto container = document->member(Document::kRoot, Key::redirected_signal);
  if (container == Document::kRoot) return bad_request({"it names no alternate server"});
  const auto name = document->member(container, Key::alt_server);
  if (name == Document::kRoot) return bad_request({"alt-server (47) is missing"});
  model::RedirectedSignal signal;
  signal.alt_server = std::string((*document)[name].text);
  const auto records = document->member(container, Key::alt_server_record);
  if (records == Document::kRoot) return signal;
  for (auto i = document->first(records); i != document->end_of(records); i = document->next(i)) {
    if (signal.alt_server_record.size() == model::kMaxAltServerRecords) break;
    const auto address = model::parse_ip_address(std::string((*document)[i].text));
    if (!address) return bad_request({"alt-server-record (48): " + address.error().message});
    signal.alt_server_record.push_back(*address);
  }
  return signal;
}

base::Bytes encode(const model::MitigationRequest& request) { return encode_cbor(model::to_document(request)); }
base::Bytes encode(const std::vector<model::MitigationEntry>& entries) {
  return encode_cbor(model::to_document(entries));
}

base::Bytes encode(const model::ParameterSets& config_request) {
  return encode_cbor(model::to_document(config_request));
}
base::Bytes encode(const model::SessionConfig& config) { return encode_cbor(model::to_document(config)); }

base::Bytes encode(const Heartbeat& heartbeat) {
  Document document;
  const auto map = document.open(Document::kRoot, model::attribute(Key::heartbeat), model::ItemKind::map);
  document.add(map, model::attribute(Key::peer_hb_status), model::ItemKind::boolean, heartbeat.peer_hb_status ? 1 : 0);
  document.close(map);
  document.finish();
  return encode_cbor(document);
}

base::Bytes encode(const model::RedirectedSignal& signal) {
  Document document;
  const auto map = document.open(Document::kRoot, model::attribute(Key::redirected_signal), model::ItemKind::map);
  document.add_text(map, model::attribute(Key::alt_server), document.keep(signal.alt_server));
  if (!signal.alt_server_record.empty()) {
    const auto& of = model::attribute(Key::alt_server_record);
    const auto list = document.open(map, of, model::ItemKind::array);
    for (const model::IpAddress& address : signal.alt_server_record) {
      document.add_text(list, of, document.keep(model::to_string(address)));
    }
    document.close(list);
  }
  document.close(map);
  document.finish();
  return encode_cbor(document);
}

}  // namespace dots::wire
