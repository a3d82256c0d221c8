/**
 * The application around the host, on the local socket only: another process of the same user (the command line, a second launch of the
 * window) asks the host that runs to show itself.
 */
import { z } from 'zod'
import { defineService, stream } from '../rpc/service.ts'

export const serveOptionsSchema = z.strictObject({
  /** 0: any free one. */
  port: z.number().int().min(0, 'A port is 0 or more.').max(65535, 'A port is at most 65535.').default(0),
  /** Address to listen on. */
  listen: z.string().min(1).max(255).default('127.0.0.1'),
  /** The address lets one browser in, then no other: for an address that others may see, as in a program's arguments. */
  once: z.boolean().default(false),
})

export interface Served {
  /** With `?token=`: opening it once lets a browser in. */
  url: string
  port: number
  /** Sentence to show where others than this computer can reach it; null else. */
  warning: string | null
}

export const app = defineService('app', {
  /**
   * Serves the window over HTTP for as long as the stream is open: whoever asked owns it, and the server ends with the stream or the wire.
   * The stream carries no bytes.
   */
  serve: stream(serveOptionsSchema).returns<Served>(),
})
