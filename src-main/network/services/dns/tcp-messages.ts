/** DNS messages in a stream of TCP: two bytes of length before each (RFC 1035, 4.2.2). */

/** @returns a function that takes what came and gives the messages that are whole now; it keeps one message's bytes at most */
export function splitMessages(): (bytes: Uint8Array) => Uint8Array<ArrayBuffer>[] {
  const header = new Uint8Array(2)
  let headed = 0
  let message: Uint8Array<ArrayBuffer> | null = null
  let filled = 0
  return (bytes) => {
    const whole: Uint8Array<ArrayBuffer>[] = []
    let at = 0
    while (at < bytes.length) {
      if (message === null) {
        header[headed++] = bytes[at++]!
        if (headed < 2) continue
        headed = 0
        filled = 0
        message = new Uint8Array((header[0]! << 8) | header[1]!)
      } else {
        const part = bytes.subarray(at, at + message.length - filled)
        message.set(part, filled)
        filled += part.length
        at += part.length
      }
      if (message.length > filled) continue
      whole.push(message)
      message = null
    }
    return whole
  }
}

/** As it is written into the stream. @param message at most 65,535 bytes */
export function frameMessage(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(2 + message.length)
  framed[0] = message.length >> 8
  framed[1] = message.length
  framed.set(message, 2)
  return framed
}
