"""Packets as bytes: headers, checksums, fragments, filters and capture files. No sockets, clocks or randomness here."""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".batch": "Batch ReceivedBatch Transmit",
    ".batch_build": "build_batch",
    ".batch_parse": "field_column parse_batch verify_batch",
    ".batch_sums": "checksums",
    ".bpf.assembler": "assemble",
    ".bpf.program": "BPFProgram",
    ".datagram": "Datagram",
    ".enums": "OpenEnum",
    ".field": "FieldInfo",
    ".flags": "Flag Flags",
    ".fragmentation": "fragment",
    ".header": "Header",
    ".icmp": "ICMP ICMPAddressMask ICMPRouterAdvertisement ICMPTimestamp ICMPTraceroute RouterEntry",
    ".icmp_codes": """
        ExtendedEchoCode ICMPType ParameterProblemCode RedirectCode TimeExceededCode UnreachableCode
    """,
    ".icmp_error": "ICMPError ICMPErrorKind",
    ".icmp_extensions": """
        ExtensionClass ExtensionObject ICMPExtensions InterfaceIdentification InterfaceInformation MPLSLabel
        MPLSLabelStack RawExtension join_quote split_quote
    """,
    ".icmpv6": """
        ICMPv6 MLDMessage MLDQuery MLDRecord MLDReport NeighborAdvertisement NeighborSolicitation
        NodeInformation Redirect RouterAdvertisement RouterSolicitation
    """,
    ".icmpv6_codes": """
        ICMPv6ParameterProblemCode ICMPv6TimeExceededCode ICMPv6Type ICMPv6UnreachableCode MLDRecordType
    """,
    ".identification": "IdentificationSequence",
    ".ipv4": "IPv4",
    ".ipv4_options": """
        CommercialSecurity IPTimestamp IPTraceroute IPv4EOL IPv4NOP IPv4Option IPv4OptionType LooseSourceRoute
        MTUProbe MTUReply QuickStart RawIPv4Option RecordRoute RouterAlert Security StreamID StrictSourceRoute
    """,
    ".ipv6": "IPv6",
    ".ipv6_ext": """
        DestinationOptions Fragment HopByHop MobileRouting RawRouting Routing RoutingType SRHHMAC SRHTLV
        SegmentRouting SourceRouting
    """,
    ".ipv6_options": """
        HomeAddress IPv6Option IPv6OptionType IPv6QuickStart IPv6RouterAlert JumboPayload MinimumPathMTU Pad1
        PadN RPLOption RawIPv6Option TunnelEncapsulationLimit
    """,
    ".ndp_options": """
        DNSSearchList LinkMTU NAT64Prefix NDPOption NDPOptionType Nonce PrefixInformation RawNDPOption
        RecursiveDNSServer RedirectedHeader RouteInformation SourceLinkLayerAddress TargetLinkLayerAddress
    """,
    ".pcapng.blocks": "LinkType",
    ".pcapng.reader": "PcapngReader",
    ".pcapng.writer": "PcapngWriter",
    ".protocols": "IPProtocol",
    ".reassembly": "FragmentDrop Reassembler",
    ".sums": "checksum checksum_update pseudo_header",
    ".tcp": "TCP TCPFlags",
    ".tcp_options": """
        ExperimentalTCPOption FastOpen MPTCP MPTCPSubtype MSS QuickStartResponse RawTCPOption SACK SACKBlock
        SACKPermitted TCPAuthentication TCPEOL TCPMD5 TCPNOP TCPOption TCPOptionKind TCPTimestamps UserTimeout
        WindowScale
    """,
    ".tlv": "OptionFormat",
    ".types": """
        Constant Overlay bits checksum16 declare enum16 enum32 enum8 enum_bits fixed flag flag_bits flags16
        flags32 flags8 header_checksum16 ip4 ip6 length16 length8 length_bits list_of next_protocol8 opaque
        options pseudo_checksum16 scaled u16 u16le u24 u32 u32le u40 u48 u64 u64le u8
    """,
    ".udp": "UDP",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)
