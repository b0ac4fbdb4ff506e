/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) with 32-byte keys, for the
 * signatures of messages.
 *
 * Freestanding: no state but the caller's, about 150 bytes of stack.
 */
#ifndef DYSCO_WIRE_SHA256_H
#define DYSCO_WIRE_SHA256_H

#include "wire/types.h"

#define DYSCO_SHA256_BYTES 32

static const uint32_t dysco_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

DYSCO_INLINE uint32_t dysco_rotr32(uint32_t x, unsigned int n)
{
	return (x >> n) | (x << (32 - n));
}

DYSCO_INLINE void dysco_sha256_init(uint32_t h[8])
{
	h[0] = 0x6a09e667;
	h[1] = 0xbb67ae85;
	h[2] = 0x3c6ef372;
	h[3] = 0xa54ff53a;
	h[4] = 0x510e527f;
	h[5] = 0x9b05688c;
	h[6] = 0x1f83d9ab;
	h[7] = 0x5be0cd19;
}

/* The message schedule in 16 words: w[i & 15] becomes word i (FIPS 180-4 6.1.3 does so for SHA-1).
 */
DYSCO_INLINE uint32_t dysco_sha256_schedule(uint32_t w[16], unsigned int i)
{
	uint32_t a = w[(i + 1) & 15];
	uint32_t b = w[(i + 14) & 15];

	if (i >= 16) {
		w[i & 15] += (dysco_rotr32(a, 7) ^ dysco_rotr32(a, 18) ^ (a >> 3)) +
			     w[(i + 9) & 15] +
			     (dysco_rotr32(b, 17) ^ dysco_rotr32(b, 19) ^ (b >> 10));
	}
	return w[i & 15];
}

/* One block, given as 16 words in host order; they are used up. */
DYSCO_FUNC void dysco_sha256_block(uint32_t h[8], uint32_t w[16])
{
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3];
	uint32_t e = h[4], f = h[5], g = h[6], k = h[7];

	for (unsigned int i = 0; i < 64; i++) {
		uint32_t t1 = k + (dysco_rotr32(e, 6) ^ dysco_rotr32(e, 11) ^ dysco_rotr32(e, 25)) +
			      ((e & f) ^ (~e & g)) + dysco_sha256_k[i] +
			      dysco_sha256_schedule(w, i);
		uint32_t t2 = (dysco_rotr32(a, 2) ^ dysco_rotr32(a, 13) ^ dysco_rotr32(a, 22)) +
			      ((a & b) ^ (a & c) ^ (b & c));

		k = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
	h[5] += f;
	h[6] += g;
	h[7] += k;
}

DYSCO_INLINE uint32_t dysco_sha256_word(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

DYSCO_INLINE void dysco_sha256_zero(uint32_t w[16])
{
	for (unsigned int i = 0; i < 16; i++) {
		w[i] = 0;
	}
}

/* data and the padding; `before` bytes (whole blocks) have gone into h already. */
DYSCO_FUNC void dysco_sha256_finish(uint32_t h[8], size_t before, const uint8_t *data, size_t bytes)
{
	uint64_t bits = ((uint64_t)before + bytes) * 8;
	uint32_t w[16];
	size_t rest = bytes & 63;

	for (; bytes >= 64; bytes -= 64, data += 64) {
		for (unsigned int i = 0; i < 16; i++) {
			w[i] = dysco_sha256_word(data + (size_t)i * 4);
		}
		dysco_sha256_block(h, w);
	}
	dysco_sha256_zero(w);
	for (size_t i = 0; i < rest; i++) {
		w[i / 4] |= (uint32_t)data[i] << (24 - i % 4 * 8);
	}
	w[rest / 4] |= UINT32_C(0x80) << (24 - rest % 4 * 8);
	if (rest >= 56) {
		dysco_sha256_block(h, w);
		dysco_sha256_zero(w);
	}
	w[14] = (uint32_t)(bits >> 32);
	w[15] = (uint32_t)bits;
	dysco_sha256_block(h, w);
}

DYSCO_INLINE void dysco_sha256_output(uint8_t out[DYSCO_SHA256_BYTES], const uint32_t h[8])
{
	for (unsigned int i = 0; i < DYSCO_SHA256_BYTES; i++) {
		out[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
	}
}

DYSCO_FUNC void dysco_sha256(uint8_t out[DYSCO_SHA256_BYTES], const uint8_t *data, size_t bytes)
{
	uint32_t h[8];

	dysco_sha256_init(h);
	dysco_sha256_finish(h, 0, data, bytes);
	dysco_sha256_output(out, h);
}

/* h after the key block of HMAC: the key, zero-filled to a block, xor `pad` in each byte. */
DYSCO_FUNC void dysco_hmac_key(uint32_t h[8], const uint8_t key[32], uint32_t pad)
{
	uint32_t w[16];

	for (unsigned int i = 0; i < 8; i++) {
		w[i] = dysco_sha256_word(key + (size_t)i * 4) ^ pad;
		w[i + 8] = pad;
	}
	dysco_sha256_init(h);
	dysco_sha256_block(h, w);
}

DYSCO_FUNC void dysco_hmac_sha256(uint8_t out[DYSCO_SHA256_BYTES], const uint8_t key[32],
				  const uint8_t *data, size_t bytes)
{
	uint32_t h[8];
	uint8_t inner[DYSCO_SHA256_BYTES];

	dysco_hmac_key(h, key, 0x36363636);
	dysco_sha256_finish(h, 64, data, bytes);
	dysco_sha256_output(inner, h);
	dysco_hmac_key(h, key, 0x5c5c5c5c);
	dysco_sha256_finish(h, 64, inner, sizeof(inner));
	dysco_sha256_output(out, h);
}

/* Takes the same time wherever they differ. */
DYSCO_FUNC bool dysco_hmac_equal(const uint8_t *a, const uint8_t *b)
{
	uint8_t differ = 0;

	for (unsigned int i = 0; i < DYSCO_SHA256_BYTES; i++) {
		differ |= a[i] ^ b[i];
	}
	return differ == 0;
}

#endif
