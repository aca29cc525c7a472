; Sign test of 64 bits, 8 of them ignored: for every sharing of v in Z_2^64, the tree over the
; chunks' generate and propagate bits gives bit 63 of v' = v - e, where e, the sum of the two
; operands' ignored low bits, has 0 <= e <= 2*(2^8-1) and v' = 0 mod 2^8. Hence the bit is bit 63 of
; v unless v mod 2^63 < 255, and the sign of v if moreover -2^63 <= v < 2^63. In a narrower ring
; only the low 64 bits exist, and only they enter the bit. The query asks for a counterexample to
; any of these. That the shared bits of a chunk are its generate and propagate bits is sign-chunk-*,
; that a node of the tree on shares computes its AND is sign-and.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 64))
(declare-fun x2 () (_ BitVec 64))
(declare-fun x3 () (_ BitVec 64))
(define-fun v () (_ BitVec 64) (bvadd x1 x2 x3))
; role 1 knows m, roles 2 and 3 know n
(define-fun sum12 () (_ BitVec 64) (bvadd x1 x2))
(define-fun m () (_ BitVec 56) ((_ extract 63 8) sum12))
(define-fun n () (_ BitVec 56) ((_ extract 63 8) x3))
; generate and propagate of every chunk
(define-fun g0_0 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 3 0) m)) ((_ zero_extend 1) ((_ extract 3 0) n)))))
(define-fun g0_1 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 7 4) m)) ((_ zero_extend 1) ((_ extract 7 4) n)))))
(define-fun p0_1 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 7 4) m) ((_ extract 7 4) n)) (_ bv15 4)))
(define-fun g0_2 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 11 8) m)) ((_ zero_extend 1) ((_ extract 11 8) n)))))
(define-fun p0_2 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 11 8) m) ((_ extract 11 8) n)) (_ bv15 4)))
(define-fun g0_3 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 15 12) m)) ((_ zero_extend 1) ((_ extract 15 12) n)))))
(define-fun p0_3 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 15 12) m) ((_ extract 15 12) n)) (_ bv15 4)))
(define-fun g0_4 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 19 16) m)) ((_ zero_extend 1) ((_ extract 19 16) n)))))
(define-fun p0_4 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 19 16) m) ((_ extract 19 16) n)) (_ bv15 4)))
(define-fun g0_5 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 23 20) m)) ((_ zero_extend 1) ((_ extract 23 20) n)))))
(define-fun p0_5 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 23 20) m) ((_ extract 23 20) n)) (_ bv15 4)))
(define-fun g0_6 () (_ BitVec 1) ((_ extract 4 4) (bvadd ((_ zero_extend 1) ((_ extract 27 24) m)) ((_ zero_extend 1) ((_ extract 27 24) n)))))
(define-fun p0_6 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 27 24) m) ((_ extract 27 24) n)) (_ bv15 4)))
(define-fun g0_7 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 30 28) m)) ((_ zero_extend 1) ((_ extract 30 28) n)))))
(define-fun p0_7 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 30 28) m) ((_ extract 30 28) n)) (_ bv7 3)))
(define-fun g0_8 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 33 31) m)) ((_ zero_extend 1) ((_ extract 33 31) n)))))
(define-fun p0_8 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 33 31) m) ((_ extract 33 31) n)) (_ bv7 3)))
(define-fun g0_9 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 36 34) m)) ((_ zero_extend 1) ((_ extract 36 34) n)))))
(define-fun p0_9 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 36 34) m) ((_ extract 36 34) n)) (_ bv7 3)))
(define-fun g0_10 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 39 37) m)) ((_ zero_extend 1) ((_ extract 39 37) n)))))
(define-fun p0_10 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 39 37) m) ((_ extract 39 37) n)) (_ bv7 3)))
(define-fun g0_11 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 42 40) m)) ((_ zero_extend 1) ((_ extract 42 40) n)))))
(define-fun p0_11 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 42 40) m) ((_ extract 42 40) n)) (_ bv7 3)))
(define-fun g0_12 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 45 43) m)) ((_ zero_extend 1) ((_ extract 45 43) n)))))
(define-fun p0_12 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 45 43) m) ((_ extract 45 43) n)) (_ bv7 3)))
(define-fun g0_13 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 48 46) m)) ((_ zero_extend 1) ((_ extract 48 46) n)))))
(define-fun p0_13 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 48 46) m) ((_ extract 48 46) n)) (_ bv7 3)))
(define-fun g0_14 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 51 49) m)) ((_ zero_extend 1) ((_ extract 51 49) n)))))
(define-fun p0_14 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 51 49) m) ((_ extract 51 49) n)) (_ bv7 3)))
(define-fun g0_15 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 54 52) m)) ((_ zero_extend 1) ((_ extract 54 52) n)))))
(define-fun p0_15 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 54 52) m) ((_ extract 54 52) n)) (_ bv7 3)))
; joined in pairs
(define-fun g1_0 () (_ BitVec 1) (bvxor g0_1 (bvand p0_1 g0_0)))
(define-fun g1_1 () (_ BitVec 1) (bvxor g0_3 (bvand p0_3 g0_2)))
(define-fun p1_1 () (_ BitVec 1) (bvand p0_3 p0_2))
(define-fun g1_2 () (_ BitVec 1) (bvxor g0_5 (bvand p0_5 g0_4)))
(define-fun p1_2 () (_ BitVec 1) (bvand p0_5 p0_4))
(define-fun g1_3 () (_ BitVec 1) (bvxor g0_7 (bvand p0_7 g0_6)))
(define-fun p1_3 () (_ BitVec 1) (bvand p0_7 p0_6))
(define-fun g1_4 () (_ BitVec 1) (bvxor g0_9 (bvand p0_9 g0_8)))
(define-fun p1_4 () (_ BitVec 1) (bvand p0_9 p0_8))
(define-fun g1_5 () (_ BitVec 1) (bvxor g0_11 (bvand p0_11 g0_10)))
(define-fun p1_5 () (_ BitVec 1) (bvand p0_11 p0_10))
(define-fun g1_6 () (_ BitVec 1) (bvxor g0_13 (bvand p0_13 g0_12)))
(define-fun p1_6 () (_ BitVec 1) (bvand p0_13 p0_12))
(define-fun g1_7 () (_ BitVec 1) (bvxor g0_15 (bvand p0_15 g0_14)))
(define-fun p1_7 () (_ BitVec 1) (bvand p0_15 p0_14))
; joined in pairs
(define-fun g2_0 () (_ BitVec 1) (bvxor g1_1 (bvand p1_1 g1_0)))
(define-fun g2_1 () (_ BitVec 1) (bvxor g1_3 (bvand p1_3 g1_2)))
(define-fun p2_1 () (_ BitVec 1) (bvand p1_3 p1_2))
(define-fun g2_2 () (_ BitVec 1) (bvxor g1_5 (bvand p1_5 g1_4)))
(define-fun p2_2 () (_ BitVec 1) (bvand p1_5 p1_4))
(define-fun g2_3 () (_ BitVec 1) (bvxor g1_7 (bvand p1_7 g1_6)))
(define-fun p2_3 () (_ BitVec 1) (bvand p1_7 p1_6))
; joined in pairs
(define-fun g3_0 () (_ BitVec 1) (bvxor g2_1 (bvand p2_1 g2_0)))
(define-fun g3_1 () (_ BitVec 1) (bvxor g2_3 (bvand p2_3 g2_2)))
(define-fun p3_1 () (_ BitVec 1) (bvand p2_3 p2_2))
; joined in pairs
(define-fun g4_0 () (_ BitVec 1) (bvxor g3_1 (bvand p3_1 g3_0)))
(define-fun bit () (_ BitVec 1) (bvxor g4_0 ((_ extract 55 55) m) ((_ extract 55 55) n)))
; v less the low bits that are ignored, operand by operand
(define-fun ignored () (_ BitVec 64) (bvadd ((_ zero_extend 56) ((_ extract 7 0) sum12)) ((_ zero_extend 56) ((_ extract 7 0) x3))))
(define-fun seen () (_ BitVec 64) (bvsub v ignored))
(assert (or (distinct bit ((_ extract 63 63) seen)) (bvugt ignored (_ bv510 64)) (distinct ((_ extract 7 0) seen) (_ bv0 8)) (and (bvuge ((_ extract 62 0) v) (_ bv255 63)) (distinct bit ((_ extract 63 63) v))) (and (bvuge ((_ extract 62 0) v) (_ bv255 63)) (distinct bit ((_ extract 63 63) v)))))
(check-sat)
