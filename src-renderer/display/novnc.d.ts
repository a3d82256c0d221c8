/**
 * @novnc/novnc 1.7.0 (MPL-2.0), as far as we use it: docs/API.md of the package, and the few inner members that rfb-view.ts needs, which is why
 * the version is fixed in package.json.
 */
declare module '@novnc/novnc' {
  /** What the library takes for a WebSocket: core/websock.js, `attach`. */
  export interface RawChannel {
    binaryType: string
    readonly protocol: string
    readonly readyState: 'connecting' | 'open' | 'closing' | 'closed'
    onopen: (() => void) | null
    onmessage: ((event: { data: Uint8Array }) => void) | null
    onclose: ((event: { code?: number; reason?: string }) => void) | null
    onerror: ((event: unknown) => void) | null
    send(message: Uint8Array): void
    close(): void
  }

  interface Events {
    connect: CustomEvent<object>
    /** `clean` is false when the library gave up by itself. */
    disconnect: CustomEvent<{ clean: boolean }>
  }

  export default class RFB {
    constructor(target: HTMLElement, channel: RawChannel, options?: { shared?: boolean })
    viewOnly: boolean
    scaleViewport: boolean
    resizeSession: boolean
    showDotCursor: boolean
    background: string
    qualityLevel: number
    compressionLevel: number
    disconnect(): void
    focus(options?: FocusOptions): void
    blur(): void
    /** @param keysym X keysym @param code as KeyboardEvent.code @param down both edges when absent */
    sendKey(keysym: number, code: string, down?: boolean): void
    addEventListener<K extends keyof Events>(kind: K, listener: (event: Events[K]) => void): void
    protected _FBU: { x: number; y: number; width: number; height: number; encoding: number | null }
    protected _canvas: HTMLCanvasElement
    protected _supportsSetDesktopSize: boolean
    /** @returns false while bytes are missing */
    protected _handleRect(): boolean
    protected _handleExtendedDesktopSize(): boolean
    protected _resize(width: number, height: number): void
    protected _fail(details: string): false
  }
}
