/** What kind of file a web server says that a file is, by the end of its name: nginx's words for the usual ones. */

const TYPES: Readonly<Record<string, string>> = {
  'text/html': 'html htm shtml',
  'text/css': 'css',
  'text/xml': 'xml',
  'text/plain': 'txt',
  'image/gif': 'gif',
  'image/jpeg': 'jpeg jpg',
  'image/png': 'png',
  'image/avif': 'avif',
  'image/webp': 'webp',
  'image/svg+xml': 'svg svgz',
  'image/tiff': 'tif tiff',
  'image/x-icon': 'ico',
  'image/x-ms-bmp': 'bmp',
  'font/woff': 'woff',
  'font/woff2': 'woff2',
  'application/javascript': 'js',
  'application/json': 'json',
  'application/wasm': 'wasm',
  'application/pdf': 'pdf',
  'application/rtf': 'rtf',
  'application/zip': 'zip',
  'application/x-7z-compressed': '7z',
  'application/atom+xml': 'atom',
  'application/rss+xml': 'rss',
  'application/xhtml+xml': 'xhtml',
  'application/vnd.apple.mpegurl': 'm3u8',
  'application/vnd.ms-fontobject': 'eot',
  'application/msword': 'doc',
  'application/vnd.oasis.opendocument.text': 'odt',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'application/x-x509-ca-cert': 'der pem crt',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'audio/x-m4a': 'm4a',
  'video/mp4': 'mp4',
  'video/mpeg': 'mpeg mpg',
  'video/webm': 'webm',
  'video/quicktime': 'mov',
  'video/x-m4v': 'm4v',
  'video/x-msvideo': 'avi',
};

const typeOf: ReadonlyMap<string, string> = new Map(
  Object.entries(TYPES).flatMap(([type, ends]) => ends.split(' ').map((end) => [end, type])),
);

/** The media type of a file name. */
export function mediaTypeOf(name: string): string {
  const end = /\.([^.]+)$/.exec(name)?.[1] ?? '';
  return typeOf.get(end.toLowerCase()) ?? 'application/octet-stream';
}
