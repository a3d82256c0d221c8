/** A packet as lists show it. All text is of hostile origin: at most so long, control characters replaced. */
export const MAX_PACKET_INFO = 200

export interface PacketSummary {
  /** Known to the network thread while the packet is kept. */
  id: string
  /** ms since 1970, with fractions. */
  at: number
  network: string
  port: string
  /** As seen from the machine. */
  direction: 'in' | 'out'
  source: string
  destination: string
  /** The innermost that was understood: "DHCP", "TCP", "ARP". */
  protocol: string
  /** Bytes of the frame. */
  length: number
  /** "41000 → 80 [SYN] Seq=0", "Who has 10.0.2.1?". */
  info: string
}
