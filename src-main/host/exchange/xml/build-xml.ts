/** XML 1.0 text from a tree. What XML cannot hold (section 2.2, Char) becomes U+FFFD. */

export interface XmlNode {
  /** With its prefix: "rasd:Caption". */
  name: string
  attributes: Readonly<Record<string, string>>
  content: string | readonly XmlNode[]
}

export function node(name: string, attributes: XmlNode['attributes'], content: XmlNode['content'] = ''): XmlNode {
  return { name, attributes, content }
}

/** A document in UTF-8, indented by two spaces; text is kept as it is. */
export function buildXml(root: XmlNode): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${lines(root, '').join('\n')}\n`
}

function lines({ name, attributes, content }: XmlNode, indent: string): string[] {
  const start = `${indent}<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escapeAttribute(value)}"`)
    .join('')}`
  if (content.length === 0) return [`${start}/>`]
  if (typeof content === 'string') return [`${start}>${escapeText(content)}</${name}>`]
  return [`${start}>`, ...content.flatMap((one) => lines(one, `${indent}  `)), `${indent}</${name}>`]
}

// eslint-disable-next-line no-control-regex -- finding control characters is the point
const NO_CHARACTER = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g

function escapeText(text: string): string {
  // A carriage return would come back as a line feed (section 2.11).
  return legal(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\r/g, '&#xD;')
}

function escapeAttribute(text: string): string {
  // White space in attributes would come back as spaces (section 3.3.3).
  return escapeText(text)
    .replace(/"/g, '&quot;')
    .replace(/[\t\n]/g, (character) => (character === '\t' ? '&#x9;' : '&#xA;'))
}

function legal(text: string): string {
  return text.toWellFormed().replace(NO_CHARACTER, '\ufffd')
}
