; Sign test of 32 bits, 0 of them ignored: for every sharing of v in Z_2^64, the tree over the
; chunks' generate and propagate bits gives bit 31 of v' = v - e, where e, the sum of the two
; operands' ignored low bits, has 0 <= e <= 2*(2^0-1) and v' = 0 mod 2^0. Hence the bit is bit 31 of
; v unless v mod 2^31 < 0, and the sign of v if moreover -2^31 <= v < 2^31. In a narrower ring only
; the low 32 bits exist, and only they enter the bit. The query asks for a counterexample to any of
; these. That the shared bits of a chunk are its generate and propagate bits is sign-chunk-*, that a
; node of the tree on shares computes its AND is sign-and.
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
(define-fun m () (_ BitVec 32) ((_ extract 31 0) sum12))
(define-fun n () (_ BitVec 32) ((_ extract 31 0) x3))
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
; joined in pairs
(define-fun g1_0 () (_ BitVec 1) (bvxor g0_1 (bvand p0_1 g0_0)))
(define-fun g1_1 () (_ BitVec 1) (bvxor g0_3 (bvand p0_3 g0_2)))
(define-fun p1_1 () (_ BitVec 1) (bvand p0_3 p0_2))
(define-fun g1_2 () (_ BitVec 1) (bvxor g0_5 (bvand p0_5 g0_4)))
(define-fun p1_2 () (_ BitVec 1) (bvand p0_5 p0_4))
(define-fun g1_3 () (_ BitVec 1) (bvxor g0_7 (bvand p0_7 g0_6)))
(define-fun p1_3 () (_ BitVec 1) (bvand p0_7 p0_6))
; joined in pairs
(define-fun g2_0 () (_ BitVec 1) (bvxor g1_1 (bvand p1_1 g1_0)))
(define-fun g2_1 () (_ BitVec 1) (bvxor g1_3 (bvand p1_3 g1_2)))
(define-fun p2_1 () (_ BitVec 1) (bvand p1_3 p1_2))
; joined in pairs
(define-fun g3_0 () (_ BitVec 1) (bvxor g2_1 (bvand p2_1 g2_0)))
(define-fun bit () (_ BitVec 1) (bvxor g3_0 ((_ extract 31 31) m) ((_ extract 31 31) n)))
; v less the low bits that are ignored, operand by operand
(define-fun ignored () (_ BitVec 64) (_ bv0 64))
(define-fun seen () (_ BitVec 64) (bvsub v ignored))
(assert (or (distinct bit ((_ extract 31 31) seen)) (bvugt ignored (_ bv0 64)) (and (bvuge ((_ extract 30 0) v) (_ bv0 31)) (distinct bit ((_ extract 31 31) v))) (and (bvuge ((_ extract 30 0) v) (_ bv0 31)) (bvsge v (_ bv18446744071562067968 64)) (bvslt v (_ bv2147483648 64)) (distinct bit ((_ extract 63 63) v)))))
(check-sat)
